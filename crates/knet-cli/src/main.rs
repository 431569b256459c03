//! The `knet` command: sends data over kronosnet links (`knet cat`), shows their state
//! (`knet monitor`), tests them (`knet check`), demonstrates a failover (`knet demo`) and measures
//! throughput and latency (`knet bench`).
//!
//! It is a thin layer over the `kronosnet` crate and makes no decisions about the protocol. Each
//! command has a folder with its arguments; what commands share is in `args`, `process`, `output`
//! and `node`. Messages for people go to standard error, one line each. Standard output carries data
//! and results.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cat;
mod check;
mod cli;
mod demo;
mod monitor;
mod node;
mod output;
mod process;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::process::exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_args() {
        Ok(cli) => cli,
        Err(error) => return exit::after_parse_error(&error, &Cli::commands()),
    };
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Cat(args) => cat::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Check(args) => check::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::after_failure(&error),
    }
}
