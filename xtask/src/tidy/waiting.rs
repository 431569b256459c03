//! Rule: nothing waits by sleeping, and no test is ignored.
//!
//! A sleep is too short on a slow machine and too long on every other. Tests wait for an event with
//! a deadline, and so does all other code: an idle handle never wakes up. Where no event exists,
//! code other than tests may sleep, with the reason in a line `// PAUSE: ` right above.

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
        let sleeps = words(code, "sleep").any(|at| code[at + "sleep".len()..].starts_with('('));
        if sleeps && (is_test(&file.path) || !has_reason(&file.text, line)) {
            find(
                line,
                "this sleeps: wait for the event itself, with a deadline, or, outside tests, state in a \
                 line `// PAUSE: ` right above why there is none",
            );
        }
        let conditional = code.contains("cfg_attr(");
        if code.contains("#[ignore") || (conditional && words(code, "ignore").next().is_some()) {
            find(
                line,
                "an ignored test proves nothing: run it, or report a skip where it cannot run",
            );
        }
    }
    findings
}

/// Returns `true` if the comment right above this line, counted from 1, begins with a reason to
/// sleep.
fn has_reason(text: &str, line: usize) -> bool {
    let above = text.lines().take(line.saturating_sub(1)).map(str::trim).collect::<Vec<_>>();
    let comment = above.iter().rev().take_while(|line| line.starts_with("//"));
    comment.last().is_some_and(|first| first.starts_with("// PAUSE: "))
}

fn is_test(path: &str) -> bool {
    // Benchmarks there measure, and may pause like other programs.
    (path.starts_with("tests/") && !path.starts_with("tests/benches/")) || path.contains("/tests/")
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
    fn a_reason_lets_code_sleep_but_no_test() {
        let paused = "// PAUSE: the device\n// reports nothing.\nthread::sleep(ms);";
        let found = |path| check(&TextFile::new(path, paused)).len();
        assert_eq!(found("crates/a/src/b.rs"), 0);
        assert_eq!(found("crates/a/tests/b.rs"), 1);
        assert_eq!(found("tests/b/main.rs"), 1);
        assert_eq!(found("tests/benches/b.rs"), 0);
        let elsewhere = "// PAUSE: the device.\nf();\nthread::sleep(ms);";
        assert_eq!(check(&TextFile::new("crates/a/src/b.rs", elsewhere)).len(), 1);
    }

    #[test]
    fn mentioning_sleep_is_fine() {
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
