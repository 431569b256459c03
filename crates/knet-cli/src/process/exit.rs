//! How a command ends that did not do its job: with one line on standard error, and an exit code for
//! scripts. `docs/operating.md`, "Exit codes", lists them.

use std::process::ExitCode;

use clap::error::{Error as ClapError, ErrorKind};
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::process::stdio::{self, OutputClosed};
use crate::process::{parse_error, stderr};

/// The arguments or the input are wrong. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A peer could not be reached in time, or was lost. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// A check found a fault. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Faulty(pub(crate) String);

/// A signal arrived before the command had done its job. Ends the process by that signal, which a shell
/// reports as exit code 128 and the number.
#[derive(Debug, thiserror::Error)]
#[error("interrupted before {before}")]
pub(crate) struct Interrupted {
    /// The number of the signal.
    pub(crate) signal: i32,
    /// What the command would have done.
    pub(crate) before: String,
}

/// Reports why the command failed, and returns its exit code or ends the process by a signal.
pub(crate) fn after_failure(error: &anyhow::Error) -> ExitCode {
    if error.is::<OutputClosed>() {
        return after_signal(SIGPIPE);
    }
    stderr::line(one_line(error));
    match error.downcast_ref::<Interrupted>() {
        Some(interrupted) => after_signal(interrupted.signal),
        None => ExitCode::from(code(error)),
    }
}

/// Ends the process by a signal, so that a shell which runs it in a loop ends the loop too.
fn after_signal(signal: i32) -> ExitCode {
    // Returns for signals only that end no process.
    let _ = emulate_default_handler(signal);
    ExitCode::from(FAILURE)
}

/// Reports what is wrong with the arguments, or prints the requested help, and returns the exit code.
/// `commands` are the subcommands.
pub(crate) fn after_parse_error(error: &ClapError, commands: &[String]) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match stdio::write_stdout(error.render().to_string().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => after_failure(&error),
        };
    }
    let args: Vec<_> = std::env::args_os().collect();
    stderr::line(parse_error::text(error, &args, commands));
    ExitCode::from(USAGE)
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        USAGE
    } else if error.is::<Unreachable>() || error.is::<Faulty>() {
        FAULTY
    } else {
        FAILURE
    }
}

/// Returns the error and its causes as one line. A cause that is already part of the error's text is
/// not repeated.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
    }
    // Scripts expect one line, even if a cause has several.
    line.replace('\n', " ")
}

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const FAULTY: u8 = 3;

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code_in_any_context() {
        assert_eq!(code(&anyhow!("disk on fire")), 1);
        assert_eq!(code(&Usage("no such host".into()).into()), 2);
        let wrapped = Err::<(), _>(Unreachable("host 2".into())).context("starting").unwrap_err();
        assert_eq!(code(&wrapped), 3);
    }

    #[test]
    fn causes_follow_on_one_line_and_are_not_repeated() {
        let error = anyhow!("no such file\nor directory").context("cannot open x");
        assert_eq!(one_line(&error), "cannot open x: no such file or directory");
        let error = anyhow!("refused").context("cannot bind: refused");
        assert_eq!(one_line(&error), "cannot bind: refused");
    }
}
