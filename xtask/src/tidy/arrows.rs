//! Rule: dependencies between crates only point down.

use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::Metadata;

use super::Finding;

/// Each package of the workspace, and those of the others that it may depend on, even for tests: a
/// test that reaches up would tie two layers together. The layers are explained in
/// docs/architecture.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("knet-channel", &[]),
    ("knet-fd", &[]),
    ("knet-poller", &[]),
    ("knet-wire", &[]),
    ("knet-engine", &["knet-channel", "knet-wire"]),
    ("knet-transport", &["knet-fd", "knet-poller"]),
    (
        "knet-handle",
        &["knet-channel", "knet-engine", "knet-fd", "knet-poller", "knet-transport", "knet-wire"],
    ),
    ("kronosnet", &["knet-fd", "knet-handle", "knet-poller"]),
    ("knet-bench", &["knet-fd"]),
    ("knet-cli", &["knet-bench", "knet-fd", "kronosnet"]),
    ("knet-counts", &["knet-fd", "kronosnet"]),
    ("knet-floor", &["knet-bench", "knet-fd"]),
    ("knet-tests", &["knet-faults", "knet-fd", "knet-wire", "kronosnet", "libknet-peer"]),
    ("knet-faults", &[]),
    ("libknet-peer", &["knet-bench", "kronosnet"]),
    ("xtask", &[]),
];

pub(super) fn check(metadata: &Metadata) -> Result<Vec<Finding>> {
    let members: Vec<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let manifest = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("failed to read {}", package.manifest_path))?;
        let file = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(&package.manifest_path)
            .as_str();
        let uses: Vec<&str> = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str())
            .filter(|name| members.contains(name))
            .collect();
        for (name, message) in judge(&package.name, &uses) {
            findings.push(Finding::new(file, line_naming(&manifest, name), message));
        }
    }
    Ok(findings)
}

/// Returns each use that is not allowed, with the reason.
fn judge<'a>(package: &'a str, uses: &[&'a str]) -> Vec<(&'a str, String)> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package) else {
        let message = format!(
            "{package} has no layer: find its place in docs/architecture.md and in xtask/src/tidy/arrows.rs"
        );
        return vec![(package, message)];
    };
    uses.iter()
        .filter(|name| !allowed.contains(name))
        .map(|name| {
            let message = format!(
                "{package} must not depend on {name}: move shared code down to a crate that both may use"
            );
            (*name, message)
        })
        .collect()
}

/// Returns the first line of the manifest that begins with the name or gives it as the package's,
/// or 1.
fn line_naming(manifest: &str, name: &str) -> usize {
    let own = format!("name = \"{name}\"");
    let is_key =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', '.']));
    manifest.lines().position(|line| is_key(line) || line == own).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_down_are_fine() {
        assert_eq!(judge("knet-engine", &["knet-wire", "knet-channel"]), []);
        assert_eq!(judge("knet-fd", &[]), []);
    }

    #[test]
    fn an_arrow_up_or_sideways_is_found() {
        for (package, user) in [
            ("knet-handle", "knet-fd"),
            ("knet-wire", "knet-channel"),
            ("knet-engine", "knet-transport"),
        ] {
            let found = judge(user, &[package]);
            assert_eq!(found.len(), 1, "{user} -> {package}");
            assert_eq!(found[0].0, package);
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let found = judge("knet-new", &[]);
        assert!(found[0].1.contains("knet-new has no layer"), "{found:?}");
    }

    #[test]
    fn no_two_crates_may_know_each_other() {
        for (upper, lower) in
            ARROWS.iter().flat_map(|(name, uses)| uses.iter().map(move |used| (name, used)))
        {
            assert_eq!(judge(upper, &[lower]), []);
            assert_eq!(judge(lower, &[upper]).len(), 1, "{upper} and {lower}");
        }
    }

    #[test]
    fn the_line_of_the_dependency_is_named() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nknet-fd-x = \"1\"\nknet-fd.workspace = true\n";
        assert_eq!(line_naming(manifest, "knet-fd"), 6);
        assert_eq!(line_naming(manifest, "a"), 2);
        assert_eq!(line_naming(manifest, "knet-wire"), 1);
    }
}
