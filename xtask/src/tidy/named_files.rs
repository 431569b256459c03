//! Rule: the source files that documents name exist.
//!
//! Documents name them in code, by the end of their path: `tx/send.rs`. Moving a file must not leave a reader
//! looking for it.

use super::{Finding, TextFile};

/// Checks a document; `paths` are the existing files.
pub(super) fn check(file: &TextFile, paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.path.starts_with("docs/") || !file.path.ends_with(".md") {
        return findings;
    }
    for (line, text) in (1..).zip(file.text.lines()) {
        // Every second piece between backticks is code.
        for name in text.split('`').skip(1).step_by(2) {
            if is_file_name(name) && !paths.iter().any(|path| ends_with(path, name)) {
                let message = format!("there is no file {name}: name the one that is meant");
                findings.push(Finding::new(file.path.as_str(), line, message));
            }
        }
    }
    findings
}

fn is_file_name(code: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    code.ends_with(".rs") && code.chars().all(is_part)
}

/// Returns `true` if a path ends with these parts.
fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, text: &str) -> Vec<String> {
        let paths = ["crates/a/src/tx/send.rs", "crates/a/src/lib.rs"].map(str::to_owned);
        let findings = check(&TextFile::new(document, text), &paths);
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn files_are_named_by_the_end_of_their_path() {
        let text = "`send.rs`, `tx/send.rs` and `crates/a/src/lib.rs`";
        assert_eq!(found("docs/a.md", text), [""; 0]);
    }

    #[test]
    fn a_file_that_does_not_exist_is_found_with_its_line() {
        for name in ["rx/send.rs", "end.rs", "src/tx.rs"] {
            let found = found("docs/a.md", &format!("# Files\n\nSee `{name}`.\n"));
            assert_eq!(found.len(), 1, "{name}");
            assert!(found[0].starts_with(&format!("docs/a.md:3: there is no file {name}")));
        }
    }

    #[test]
    fn other_code_and_other_files_are_not_checked() {
        assert_eq!(found("docs/a.md", "`*.rs` none.rs `rustc --test none.rs` `none.c`"), [""; 0]);
        assert_eq!(found("crates/a/src/lib.rs", "//! `none.rs`"), [""; 0]);
    }
}
