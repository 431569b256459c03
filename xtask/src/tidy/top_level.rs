//! Rule: new files find their place in one of the existing folders.

use std::collections::BTreeMap;

use super::Finding;

/// All entries that the root may have.
const ALLOWED: &[&str] = &[
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "rustfmt.toml",
    "tests",
    "xtask",
];

pub(super) fn check(paths: &[String]) -> Vec<Finding> {
    let mut strangers = BTreeMap::new();
    for path in paths {
        let entry = path.split('/').next().unwrap_or(path);
        if !ALLOWED.contains(&entry) {
            strangers.entry(entry).or_insert(path);
        }
    }
    strangers
        .into_iter()
        .map(|(entry, path)| {
            let message = format!(
                "{entry} is new at the top level: move it into crates, tests, docs or xtask"
            );
            Finding::new(path.as_str(), 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_entries_are_fine() {
        let paths = ["README.md", "crates/knet-fd/src/lib.rs", ".ci/run"].map(str::to_owned);
        assert_eq!(check(&paths), []);
    }

    #[test]
    fn a_new_folder_is_found_once() {
        let paths = ["scripts/a.sh", "scripts/b.sh", "NOTES", "docs/a.md"].map(str::to_owned);
        let found = check(&paths);
        let files: Vec<_> = found.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(files, ["NOTES", "scripts/a.sh"]);
    }
}
