//! The `knet` command: pipes data through kronosnet links (`knet cat`), watches them
//! (`knet monitor`), tests them (`knet check`), shows them at work (`knet demo`) and measures them
//! (`knet bench`).
//!
//! A thin face over the `kronosnet` crate: it decides nothing about the protocol. Messages for
//! people go to standard error, one line each; standard output is for data and for the demo's
//! report.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cat;
mod check;
mod demo;
mod exit;
mod monitor;
mod node;
mod output;
mod peer;
mod readiness;
mod remote;
mod signals;
mod stderr;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refused) => return exit::refused(&refused),
    };
    let outcome = match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Cat(args) => cat::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Check(args) => check::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}
