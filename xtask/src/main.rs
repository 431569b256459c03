//! The project's own commands, one per question of a contributor.
//!
//! `cargo xtask --help` lists them. Each has a file of its own. [`ci`] runs them all, so that
//! continuous integration and a contributor get the same results. Nothing here is published or part
//! of a library.

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
    /// Runs every test and doc test, and lists skipped tests with their reasons.
    Test(test::Options),
    /// Runs all checks that a change must pass, and lists the failures.
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
    /// Builds and runs users of a single small crate, and checks their dependencies.
    Consumers,
    /// Checks that every published crate is complete and builds from its own package (needs cargo 1.90).
    Package(package::Options),
    /// Tests interoperability with libknet (needs root, and libknet1, which it installs).
    Interop,
    /// Runs each fuzz target for some time (needs cargo-fuzz and a nightly toolchain).
    Fuzz(fuzz::Options),
    /// Runs the suite of real networks in network namespaces (needs root and iproute2).
    Netns(netns::Options),
    /// Measures kronosnet side by side with libknet and with no protocol at all.
    Bench(bench::Options),
    /// Simulates a cluster under faults with new seeds.
    Soak(soak::Options),
    /// Installs cargo-deny and cargo-fuzz in the versions used here.
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
