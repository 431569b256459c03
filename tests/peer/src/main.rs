//! The program `libknet-peer`, which does what `knet` does with the libknet of this machine.
//!
//! It prints the version of libknet on standard error. Its exit codes are those of `knet`.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cat;
mod peer;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use libknet_peer::libknet::Library;

use crate::args::{Args, Command};
use crate::cat::{Unreachable, Usage};

fn main() -> ExitCode {
    // clap exits with code 2 if the arguments are wrong.
    let Args { command } = Args::parse();
    let outcome = Library::open().map_err(Into::into).and_then(|library| {
        let (version, file) = (library.version(), library.file().display());
        say(format_args!("libknet {version} ({file})"));
        match command {
            Command::Version => Ok(()),
            Command::Cat(args) => cat::run(library, &args),
            Command::Bench(args) => bench::run(library, &args),
        }
    });
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    say(format_args!("{error:#}"));
    ExitCode::from(if error.is::<Usage>() {
        2
    } else if error.is::<Unreachable>() {
        3
    } else {
        1
    })
}

/// Writes a line for a person. A closed standard error is no reason to fail.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "libknet-peer: {text}");
}
