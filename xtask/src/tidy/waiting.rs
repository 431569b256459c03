//! Rule: nothing waits by sleeping, and no test is put aside.
//!
//! A sleep is too short on a slow machine and too long on every other. Tests wait for an event with a
//! deadline, and so does the rest: an idle handle is to wake up for nothing at all.

use super::code::words;
use super::{Finding, TextFile};

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.is_rust() {
        return findings;
    }
    let mut find =
        |line, message: &str| findings.push(Finding::new(file.path.as_str(), line, message));
    for (line, code) in file.code_lines() {
        if words(code, "sleep").any(|at| code[at + "sleep".len()..].starts_with('(')) {
            find(line, "this sleeps: wait for the event itself, with a deadline");
        }
        let conditional = code.contains("cfg_attr(");
        if code.contains("#[ignore") || (conditional && words(code, "ignore").next().is_some()) {
            find(
                line,
                "an ignored test proves nothing: let it run, or report a skip where it cannot",
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(&TextFile::new("tests/a.rs", text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn sleeping_is_found_however_it_is_named() {
        assert_eq!(lines("f();\nstd::thread::sleep(ms);"), [2]);
        assert_eq!(lines("use std::thread::sleep;\nsleep(ms);"), [2]);
    }

    #[test]
    fn talking_of_sleep_is_fine() {
        assert_eq!(lines("// thread::sleep(ms)\nlet sleeper = \"sleep(1)\"; asleep();"), [0; 0]);
    }

    #[test]
    fn ignored_tests_are_found() {
        assert_eq!(lines("#[test]\n#[ignore]\nfn f() {}"), [2]);
        assert_eq!(lines("#[ignore = \"slow\"]"), [1]);
        assert_eq!(lines("#[cfg_attr(miri, ignore)]"), [1]);
        assert_eq!(lines("let ignore = 1; // #[ignore]"), [0; 0]);
    }
}
