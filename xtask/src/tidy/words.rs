//! Rule: no file contains marks of unfinished work.

use super::code::words;
use super::{Finding, TextFile};

/// Marks of unfinished work, put together here so that this file may name them.
const MARKS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        for mark in MARKS {
            if words(text, mark).next().is_some() {
                let message =
                    format!("{mark} marks unfinished work: finish it, or say what is so and why");
                findings.push(Finding::new(file.path.as_str(), line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_any_kind_of_file() {
        for path in ["src/a.rs", "docs/a.md", ".ci/run"] {
            for mark in MARKS {
                let found = check(&TextFile::new(path, format!("first\n# {mark}: later\n")));
                assert_eq!(found.len(), 1, "{path} {mark}");
                assert_eq!(found[0].line, 2);
            }
        }
    }

    #[test]
    fn longer_words_and_small_letters_are_no_marks() {
        let text = format!("/tmp/a.{0}{0}\nmy todo list\n{1}ERS\n", MARKS[2], MARKS[3]);
        assert_eq!(check(&TextFile::new("a.rs", text)), []);
    }
}
