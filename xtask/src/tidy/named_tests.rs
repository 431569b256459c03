//! Rule: the tests that the list of differences and the list of defences name exist.
//!
//! `docs/differences-from-libknet.md` and `docs/hardening.md` give each row a test, as `module::name`. Renaming
//! one of them must not leave the row without proof.

use super::code::words;
use super::{Finding, TextFile};

/// The documents whose tests are checked.
const DOCUMENTS: [&str; 2] = ["docs/differences-from-libknet.md", "docs/hardening.md"];

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let is_checked = |file: &&TextFile| DOCUMENTS.contains(&file.path.as_str());
    files.iter().filter(is_checked).flat_map(|document| check_document(document, files)).collect()
}

fn check_document(document: &TextFile, files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(document.text.lines()) {
        // Every second piece between backticks is code.
        for code in text.split('`').skip(1).step_by(2) {
            if is_test_path(code) && !exists(code, files) {
                let message = format!("{code} is no test: name the one that shows it");
                findings.push(Finding::new(&document.path, line, message));
            }
        }
    }
    findings
}

/// Returns `true` if the code is a path in lower case, as those of tests are.
fn is_test_path(code: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    code.contains("::") && code.split("::").all(is_name)
}

/// Returns `true` if a file of the named module has a function of the name. Modules in which unit tests stand
/// are not compared.
fn exists(path: &str, files: &[TextFile]) -> bool {
    let mut parts = path.rsplit("::");
    let name = parts.next().unwrap_or(path);
    let module = parts.find(|part| *part != "tests").unwrap_or_default();
    files
        .iter()
        .filter(|file| file.is_rust() && is_in(&file.path, module))
        .any(|file| words(&file.code, name).any(|at| file.code[..at].ends_with("fn ")))
}

/// Returns `true` if the file, or a folder that it is in, has the name of the module.
fn is_in(path: &str, module: &str) -> bool {
    path.trim_end_matches(".rs").split('/').any(|part| part == module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &str) -> Vec<String> {
        found_in(DOCUMENTS[0], row)
    }

    fn found_in(document: &str, row: &str) -> Vec<String> {
        let files = [
            TextFile::new(document, format!("# Differences\n\n| libknet | here | {row} |\n")),
            TextFile::new("tests/datafd/sizes.rs", "#[test]\nfn too_long() {}\nfn f() { short() }"),
            TextFile::new("crates/a/src/tx/thread.rs", "mod tests {\n    fn waits() {}\n}"),
        ];
        check(&files).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn existing_tests_are_found_by_their_module() {
        assert_eq!(found("`sizes::too_long`, `tx::tests::waits`, `thread::tests::waits`"), [""; 0]);
    }

    #[test]
    fn a_missing_test_is_reported_with_its_line() {
        for row in ["`sizes::longer`", "`sources::too_long`", "`sizes::short`"] {
            let found = found(row);
            assert_eq!(found.len(), 1, "{row}");
            assert!(found[0].starts_with("docs/differences-from-libknet.md:3: "), "{found:?}");
        }
    }

    #[test]
    fn every_document_is_checked() {
        for document in DOCUMENTS {
            assert_eq!(found_in(document, "`sizes::longer`").len(), 1, "{document}");
        }
    }

    #[test]
    fn other_code_is_not_checked() {
        assert_eq!(found("`Error::Closed` `EINVAL` `sizes` `knet_send()` sizes::longer"), [""; 0]);
    }
}
