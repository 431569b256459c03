//! The command line: one subcommand per command, whose arguments are in the command's own folder.

use clap::{Parser, Subcommand};

use crate::bench::args::BenchArgs;
use crate::cat::args::CatArgs;
use crate::check::args::CheckArgs;
use crate::demo::args::DemoArgs;
use crate::monitor::args::MonitorArgs;

/// Sends data over kronosnet links, and tests, monitors and measures them.
#[derive(Debug, Parser)]
#[command(name = "knet", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Cat(CatArgs),
    Bench(BenchArgs),
    Monitor(MonitorArgs),
    Check(CheckArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
