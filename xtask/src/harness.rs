//! The output of `cargo test`, parsed while it is shown: the numbers of tests, and the reasons of
//! failures.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs `cargo test`, shows its output as it arrives and parses it. Returns `true` if the command
/// succeeded.
///
/// A test program without output for [`PATIENCE`] is killed, and counts as failed; the others
/// continue.
pub(crate) fn watch(
    command: &mut Command,
    shown: &mut impl Write,
    seen: &mut Seen,
) -> Result<bool> {
    watch_patiently(command, shown, seen, PATIENCE)
}

/// Longer than any build takes, and than any test takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(600);

fn watch_patiently(
    command: &mut Command,
    shown: &mut impl Write,
    seen: &mut Seen,
    patience: Duration,
) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("failed to start cargo")?;
    let (send, lines) = mpsc::channel();
    // `Stdio::piped` above puts a pipe there; without one there is nothing to read.
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            BufReader::new(output).split(b'\n').try_for_each(|line| send.send(line))
        });
    }
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => {
                let line = line?;
                shown.write_all(&line)?;
                shown.write_all(b"\n")?;
                seen.read(&String::from_utf8_lossy(&line));
            }
            // A process that it left behind may keep the pipe open.
            Err(RecvTimeoutError::Timeout) if child.try_wait()?.is_some() => break,
            Err(RecvTimeoutError::Timeout) => {
                seen.failures.note(format!("killed: no output for {patience:?}"));
                kill_children(child.id())?;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(child.wait()?.success())
}

/// Kills the processes that cargo runs, not cargo, which then reports that and continues.
fn kill_children(parent: u32) -> Result<()> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    for child in children.split_whitespace() {
        // It may have ended in the meantime.
        let _ = kill(Pid::from_raw(child.parse()?), Signal::SIGKILL);
    }
    Ok(())
}

/// The parsed output of all test programs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    pub(crate) failures: Failures,
}

impl Seen {
    fn read(&mut self, line: &str) {
        self.failures.read(line);
        self.count(line);
    }

    /// Adds the line if it is a closing line, such as
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix(RESULT).and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// The prefix of the closing line of a test program.
const RESULT: &str = "test result: ";

/// The output of failed tests. It is repeated at the end, because a log of several suites is long,
/// and often only the end of a long log is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Failures {
    lines: Vec<String>,
    reading: bool,
}

impl Failures {
    /// Keeps the lines that a program prints between `failures:` and its closing line, up to a
    /// limit.
    fn read(&mut self, line: &str) {
        if line.starts_with(RESULT) {
            self.reading = false;
        } else if line == "failures:" {
            self.reading = true;
        } else if self.reading && !line.is_empty() && self.lines.len() < MOST_LINES {
            self.lines.push(line.to_owned());
        }
    }

    /// Adds a line.
    fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Returns the lines, each preceded by a line break; empty if there are none.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("\n    {line}")).collect()
    }
}

/// Enough for several failures, and about two screens.
const MOST_LINES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(output: &str) -> Seen {
        let mut seen = Seen::default();
        output.lines().for_each(|line| seen.read(line));
        seen
    }

    #[test]
    fn results_of_all_programs_are_summed() {
        let output = "\
running 2 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test a ... FAILED
test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
";
        assert_eq!(seen(output), Seen { passed: 5, failed: 4, ignored: 1, ..Seen::default() });
    }

    #[test]
    fn lines_that_only_look_like_results_are_not_counted() {
        assert_eq!(seen("test result_of_join ... ok\n5 passed\ntest result: "), Seen::default());
    }

    #[test]
    fn the_output_of_failed_tests_is_kept() {
        let output = "\
test a ... FAILED

failures:

---- a stdout ----
a panicked at lib.rs:5: waited in vain


failures:
    a

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out
test b ... ok
";
        let wanted = "
    ---- a stdout ----
    a panicked at lib.rs:5: waited in vain
        a";
        assert_eq!(seen(output).failures.text(), wanted);
        assert_eq!(seen("test b ... ok\ntest result: ok. 1 passed\n").failures.text(), "");
    }

    #[test]
    fn the_kept_output_is_limited() {
        let output = "failures:\n".to_owned() + &"again\n".repeat(10_000);
        assert_eq!(seen(&output).failures.text().lines().skip(1).count(), MOST_LINES);
    }

    #[test]
    fn output_is_parsed_while_it_is_shown_and_the_exit_code_kept() {
        let (mut shown, mut seen) = (Vec::new(), Seen::default());
        let output = "test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("printf '{output}'; exit 101")]);
        assert!(!watch(&mut command, &mut shown, &mut seen).unwrap());
        assert_eq!(shown, output.as_bytes());
        assert_eq!((seen.passed, seen.failed, seen.ignored), (1, 2, 0));
    }

    #[test]
    fn a_hanging_program_is_killed_and_named_and_the_next_one_runs() {
        let (mut shown, mut seen) = (Vec::new(), Seen::default());
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; tail -f /dev/null || echo killed; exit 101"]);
        let patience = Duration::from_millis(100);
        assert!(!watch_patiently(&mut command, &mut shown, &mut seen, patience).unwrap());
        assert_eq!(String::from_utf8(shown).unwrap(), "one\nkilled\n");
        assert!(seen.failures.text().contains("no output for 100ms"), "{seen:?}");
    }
}
