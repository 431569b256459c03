//! Rule: a crate without unsafe code forbids it.

use super::code::words;
use super::{Finding, TextFile};

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let roots = files.iter().filter(|file| is_root(&file.path));
    roots
        .filter(|root| {
            !has_unsafe(files, &root.path) && !root.code.contains("#![forbid(unsafe_code)]")
        })
        .map(|root| {
            let message =
                "this crate has no unsafe code: add `#![forbid(unsafe_code)]` to its root";
            Finding::new(root.path.as_str(), 1, message)
        })
        .collect()
}

/// Returns `true` if the file is the root of a library or program of the workspace.
fn is_root(path: &str) -> bool {
    let ours =
        path.starts_with("crates/") || path.starts_with("xtask/") || path.starts_with("tests/src/");
    ours && (path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"))
}

/// Returns `true` if any file of the crate with this root uses the keyword.
fn has_unsafe(files: &[TextFile], root: &str) -> bool {
    let folder = &root[..=root.rfind('/').unwrap_or(0)];
    files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with(folder))
        .any(|file| words(&file.code, "unsafe").next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| TextFile::new(*path, *text)).collect();
        check(&files).into_iter().map(|finding| finding.file).collect()
    }

    #[test]
    fn a_safe_crate_must_forbid_unsafe_code() {
        assert_eq!(found(&[("crates/a/src/lib.rs", "//! Safe.\nmod b;")]), ["crates/a/src/lib.rs"]);
        assert_eq!(
            found(&[("crates/a/src/lib.rs", "//! Safe.\n#![forbid(unsafe_code)]")]),
            [""; 0]
        );
        assert_eq!(found(&[("xtask/src/main.rs", "fn main() {}")]), ["xtask/src/main.rs"]);
    }

    #[test]
    fn a_comment_does_not_count() {
        let text = "// #![forbid(unsafe_code)]";
        assert_eq!(found(&[("crates/a/src/lib.rs", text)]), ["crates/a/src/lib.rs"]);
    }

    #[test]
    fn a_crate_with_unsafe_code_somewhere_is_exempt() {
        let files =
            [("crates/a/src/lib.rs", "mod b;"), ("crates/a/src/b.rs", "fn f() { unsafe { g() } }")];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn unsafe_code_of_another_crate_is_no_excuse() {
        let files = [("crates/a/src/lib.rs", ""), ("crates/ab/src/lib.rs", "unsafe {}")];
        assert_eq!(found(&files), ["crates/a/src/lib.rs"]);
    }
}
