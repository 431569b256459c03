//! The command line: one subcommand per command, whose arguments are in the command's own folder.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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

impl Cli {
    /// Parses the arguments of this process.
    ///
    /// # Errors
    /// What is wrong with the arguments, or the help that they ask for.
    pub(crate) fn try_parse_args() -> Result<Self, clap::Error> {
        let mut command = Self::definition();
        let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }

    /// Returns the names of the subcommands.
    pub(crate) fn commands() -> Vec<String> {
        Self::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
    }

    /// Returns the definition of the command line. `-1` is a value everywhere, never an option, so that
    /// the parser of the value reports what it expects.
    fn definition() -> clap::Command {
        Self::command().mut_subcommands(|command| {
            command.mut_args(|arg| {
                let takes_values = arg.get_action().takes_values();
                arg.allow_negative_numbers(takes_values)
            })
        })
    }
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
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }
}
