//! The project's own commands, one per thing a contributor wants to know.
//!
//! `cargo xtask --help` lists them. Each lives in a file of its own; [`ci`] runs them all, so that a
//! machine in the cloud and a contributor's see the same. Nothing here is published or built into a
//! library.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "these commands exist to print")]

mod bench;
mod ci;
mod consumers;
mod deny;
mod doc;
mod fmt;
mod fuzz;
mod harness;
mod interop;
mod libknet;
mod lint;
mod netns;
mod package;
mod soak;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test and doc test, and says which were skipped and why.
    Test(test::Options),
    /// Runs everything that a change must pass, and lists all that failed.
    Ci,
    /// Checks the formatting of every package.
    Fmt,
    /// Runs clippy over everything; a warning is an error.
    Lint,
    /// Builds the documentation; a warning is an error.
    Doc,
    /// Checks the rules of this project that no linter knows.
    Tidy,
    /// Checks licences, versions and sources of the dependencies (needs cargo-deny).
    Deny,
    /// Builds and runs the users of one small crate, and checks which packages come along.
    Consumers,
    /// Checks that every published crate is complete and builds from its own package (needs cargo 1.90).
    Package(package::Options),
    /// Runs kronosnet and libknet side by side (needs root, and libknet1, which it installs).
    Interop,
    /// Runs each fuzz target for a while (needs cargo-fuzz and a nightly toolchain).
    Fuzz(fuzz::Options),
    /// Runs the suite of real networks in network namespaces (needs root and iproute2).
    Netns(netns::Options),
    /// Measures kronosnet side by side with libknet and with what no protocol at all would take.
    Bench(bench::Options),
    /// Plays a simulated cluster's bad days with new seeds.
    Soak(soak::Options),
    /// Installs cargo-deny and cargo-fuzz in the versions that are used here.
    Tools,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::open()?;
    match command {
        Command::Test(options) => test::run(&workspace, &options),
        Command::Ci => ci::run(&workspace),
        Command::Fmt => fmt::run(&workspace),
        Command::Lint => lint::run(&workspace),
        Command::Doc => doc::run(&workspace),
        Command::Tidy => tidy::run(&workspace),
        Command::Deny => deny::run(&workspace),
        Command::Consumers => consumers::run(&workspace),
        Command::Package(options) => package::run(&workspace, &options),
        Command::Interop => interop::run(&workspace),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Netns(options) => netns::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Soak(options) => soak::run(&workspace, &options),
        Command::Tools => tools::install(&workspace),
    }
}
