//! Rule: a module states its purpose, and has only one.

use super::{Finding, TextFile};

/// The maximum length of a Rust file, its tests included.
const MOST_LINES: usize = 600;

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.is_rust() {
        return findings;
    }
    let opening = (1..).zip(file.text.lines()).find(|(_, line)| !line.trim().is_empty());
    let (line, text) = opening.unwrap_or((1, ""));
    if !text.starts_with("//! ") {
        let message = "this module does not state its purpose: begin it with a `//!` comment";
        findings.push(Finding::new(file.path.as_str(), line, message));
    }
    let lines = file.text.lines().count();
    if lines > MOST_LINES {
        let message =
            format!("{lines} lines, {MOST_LINES} is the limit: split the file by concept");
        findings.push(Finding::new(file.path.as_str(), MOST_LINES + 1, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&TextFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_module_opens_with_its_purpose() {
        assert_eq!(lines("a.rs", "//! Counts.\n\nfn f() {}"), [0; 0]);
        assert_eq!(lines("a.rs", "use std::fs;\n\n//! Counts."), [1]);
        assert_eq!(lines("a.rs", "\n// Counts.\n"), [2]);
        assert_eq!(lines("a.rs", "//!\n"), [1]);
        assert_eq!(lines("a.rs", ""), [1]);
    }

    #[test]
    fn six_hundred_lines_are_the_limit() {
        assert_eq!(lines("a.rs", &"//! Long.\n".repeat(600)), [0; 0]);
        assert_eq!(lines("a.rs", &"//! Long.\n".repeat(601)), [601]);
    }

    #[test]
    fn only_rust_files_are_modules() {
        assert_eq!(lines("a.md", &"line\n".repeat(700)), [0; 0]);
    }
}
