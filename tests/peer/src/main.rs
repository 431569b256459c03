//! The `libknet-peer` program: `knet` with the libknet of this machine.
//!
//! It reports the release of libknet on standard error. Its exit codes are those of `knet`.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cat;
mod exit;
mod peer_link;
mod stderr;

use std::process::ExitCode;

use clap::Parser;
use libknet_peer::libknet::Library;

use crate::args::{Args, Command};
use crate::exit::{Unreachable, Usage};

fn main() -> ExitCode {
    // clap exits with code 2 if the arguments are wrong.
    let Args { command } = Args::parse();
    let outcome = Library::open().map_err(Into::into).and_then(|library| {
        let (version, file) = (library.version(), library.file().display());
        stderr::line(format_args!("libknet {version} ({file})"));
        match command {
            Command::Version => Ok(()),
            Command::Cat(args) => cat::run(library, &args),
            Command::Bench(args) => bench::run(library, &args),
        }
    });
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    stderr::line(format_args!("{error:#}"));
    ExitCode::from(if error.is::<Usage>() {
        2
    } else if error.is::<Unreachable>() {
        3
    } else {
        1
    })
}
