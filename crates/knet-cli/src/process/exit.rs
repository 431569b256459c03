//! How a failed command ends: with one line on standard error, and an exit code for scripts.

use std::process::ExitCode;

use clap::error::{Error as ClapError, ErrorKind};

use crate::process::stderr;

/// The arguments or the input are wrong. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A peer could not be reached in time. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// A check found a fault. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Faulty(pub(crate) String);

/// Reports why the command failed, and returns its exit code.
pub(crate) fn after_failure(error: &anyhow::Error) -> ExitCode {
    stderr::line(one_line(error));
    ExitCode::from(code(error))
}

/// Reports what is wrong with the arguments, or prints the requested help, and returns the exit code.
pub(crate) fn after_parse_error(error: &ClapError) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader that closes the output early is not a failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        stderr::line("expected a command: demo, cat, bench, monitor or check (see 'knet --help')");
    } else {
        stderr::line(first_paragraph(&error.render().to_string()));
    }
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

/// Returns clap's message without the usage and the hints that follow it.
fn first_paragraph(text: &str) -> String {
    let lines = text.trim_start().lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line} (see 'knet --help')")
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

    #[test]
    fn a_list_of_missing_arguments_becomes_one_line() {
        let text = "error: these are missing:\n  --id <HOST>\n  --peer <PEER>\n\nUsage: knet cat\n";
        let line = first_paragraph(text);
        assert_eq!(line, "these are missing: --id <HOST> --peer <PEER> (see 'knet --help')");
    }
}
