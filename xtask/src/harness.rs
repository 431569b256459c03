//! What `cargo test` prints, read while it is shown: how many tests did what, and why some failed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Runs `cargo test`, shows its output as it comes and takes down what it says. Returns whether the
/// command was content.
pub(crate) fn watch(
    command: &mut Command,
    shown: &mut impl Write,
    seen: &mut Seen,
) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("failed to start cargo")?;
    // `Stdio::piped` above puts a pipe there; without one there is nothing to read.
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            shown.write_all(&line)?;
            shown.write_all(b"\n")?;
            seen.read(&String::from_utf8_lossy(&line));
        }
    }
    Ok(child.wait()?.success())
}

/// What all test programs said together.
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

/// What begins the closing line of a test program.
const RESULT: &str = "test result: ";

/// What failed tests printed. In the end it is said again, because a log of several suites is long,
/// and of a long log often only the end is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Failures {
    lines: Vec<String>,
    reading: bool,
}

impl Failures {
    /// What a program prints between `failures:` and its closing line, up to a limit.
    fn read(&mut self, line: &str) {
        if line.starts_with(RESULT) {
            self.reading = false;
        } else if line == "failures:" {
            self.reading = true;
        } else if self.reading && !line.is_empty() && self.lines.len() < MOST_LINES {
            self.lines.push(line.to_owned());
        }
    }

    /// The lines, each on one of its own, with a line end before; nothing if there are none.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("\n    {line}")).collect()
    }
}

/// Enough for several failures, and no more than a screen or two.
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
    fn what_failed_tests_printed_is_kept() {
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
    fn no_more_than_a_screen_or_two_is_kept() {
        let output = "failures:\n".to_owned() + &"again\n".repeat(10_000);
        assert_eq!(seen(&output).failures.text().lines().skip(1).count(), MOST_LINES);
    }

    #[test]
    fn output_is_read_while_it_is_shown_and_the_exit_code_kept() {
        let (mut shown, mut seen) = (Vec::new(), Seen::default());
        let output = "test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("printf '{output}'; exit 101")]);
        assert!(!watch(&mut command, &mut shown, &mut seen).unwrap());
        assert_eq!(shown, output.as_bytes());
        assert_eq!((seen.passed, seen.failed, seen.ignored), (1, 2, 0));
    }
}
