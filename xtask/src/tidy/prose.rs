//! Rule: prose is plain English, and cites only what its readers have.
//!
//! This finds the words that CONTRIBUTING.md bans and that a program can judge. That document may name them, and
//! here they are put together so that this file may.

use super::code::{line_of, words};
use super::{Finding, TextFile};

/// Words and pairs of words that read translated.
const BANNED: &[&[&str]] = &[
    &[concat!("an", "ew")],
    &[concat!("any", "more")],
    &[concat!("who", "ever")],
    &["any", "more"],
    &[concat!("to", "ld")],
    &["for", "ever"],
];
/// A folder that is outside of the repository.
const OUTSIDE: &str = concat!("sp", "ec/");
/// Where the rules of prose stand.
const RULES: &str = "CONTRIBUTING.md";

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.path == RULES {
        return findings;
    }
    let lower = file.text.to_ascii_lowercase();
    let mut find = |at: usize, message: String| {
        findings.push(Finding::new(file.path.as_str(), line_of(&lower, at), message));
    };
    for phrase in BANNED {
        for at in words(&lower, phrase[0]).filter(|&at| continues(&lower[at..], phrase)) {
            let phrase = phrase.join(" ");
            find(at, format!("\"{phrase}\" reads translated: see \"Prose\" in {RULES}"));
        }
    }
    for (at, _) in lower.match_indices(OUTSIDE) {
        let is_folder =
            lower[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '/');
        if is_folder {
            find(
                at,
                format!(
                    "{OUTSIDE} is not in the repository: cite a page of docs/, or state the fact"
                ),
            );
        }
    }
    findings
}

/// Returns `true` if the text begins with these words, which may be on two lines of a comment.
fn continues(text: &str, phrase: &[&str]) -> bool {
    let mut rest = text;
    phrase.iter().all(|word| {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "/!#*>".contains(c));
        let found = words(rest, word).next() == Some(0);
        rest = rest.strip_prefix(word).unwrap_or(rest);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&TextFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    /// Puts words together so that this file does not contain them.
    fn joined(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn banned_words_are_found_in_any_file() {
        for path in ["src/a.rs", "docs/a.md", "Cargo.toml"] {
            for words in [["Who", "ever"], ["an", "ew"], ["any", " more"], ["for ", "ever"]] {
                let text = format!("first\n// not {} it is\n", joined(&words));
                assert_eq!(lines(path, &text), [2], "{text}");
            }
        }
    }

    #[test]
    fn a_pair_may_be_on_two_lines() {
        assert_eq!(lines("a.rs", &joined(&["/// not any", "\n    /// more."])), [1]);
        assert_eq!(lines("a.md", &joined(&["It is not\nfor", "\never."])), [2]);
    }

    #[test]
    fn parts_of_words_and_words_between_are_fine() {
        let text = "renewal forever_free any_more for the evergreen company more";
        assert_eq!(lines("a.rs", text), [0; 0]);
    }

    #[test]
    fn the_rules_may_name_the_words() {
        assert_eq!(lines("CONTRIBUTING.md", &joined(&["no ", "who", "ever"])), [0; 0]);
    }

    #[test]
    fn citations_of_other_folders_are_found() {
        let cited = joined(&["sp", "ec/wire.md"]);
        assert_eq!(lines("a.rs", &format!("//! See `{cited}` 3.")), [1]);
        assert_eq!(lines("a.rs", &format!("//! See {cited}.")), [1]);
        assert_eq!(lines("a.rs", &format!("// https://example.org/{cited}, in{cited}")), [0; 0]);
    }
}
