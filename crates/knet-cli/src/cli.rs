//! The command line: one subcommand per command, whose arguments are in the command's own folder.

use clap::{Parser, Subcommand};

use crate::bench::args::BenchArgs;
use crate::cat::args::CatArgs;
use crate::check::args::CheckArgs;
use crate::demo::args::DemoArgs;
use crate::monitor::args::MonitorArgs;

/// Sends data over kronosnet links, and tests, monitors and measures them.
#[derive(Debug, Parser)]
#[command(name = "knet", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The exit codes of all commands, as in `docs/operating.md`, "Exit codes".
const EXIT_CODES: &str = "\
Exit codes:
  0        success
  1        failure
  2        wrong arguments or input
  3        a peer cannot be reached or was lost, or a link is at fault
  128 + N  ended by signal N, such as 130 by control-C, 141 because the reader closed the output";

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
