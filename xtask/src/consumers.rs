//! `cargo xtask consumers`: does a small crate stay small for its users?
//!
//! Each folder of `tests/consumers/` uses a single crate. It is outside the workspace, so that no
//! feature that other crates enable can hide a missing one. It is built and run, and its
//! dependencies are compared with the list below.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, bail};
use xshell::cmd;

use crate::workspace::Workspace;

/// A project in `tests/consumers/` and its expected dependencies.
#[derive(Debug)]
struct Consumer {
    /// The name of its folder and its package.
    name: &'static str,
    /// Every package that is built for it on Linux, for use or for a build script, besides itself.
    packages: &'static [&'static [&'static str]],
}

/// The derive macro of the error types, and its dependencies.
const THISERROR: &[&str] =
    &["thiserror", "thiserror-impl", "proc-macro2", "quote", "syn", "unicode-ident"];
/// The safe system calls, and the build dependencies that probe the platform.
const NIX: &[&str] = &["nix", "libc", "bitflags", "cfg-if", "cfg_aliases", "memoffset", "autocfg"];

const CONSUMERS: &[Consumer] = &[
    Consumer { name: "channel-only", packages: &[&["knet-channel"], THISERROR] },
    Consumer { name: "fd-only", packages: &[&["knet-fd"], THISERROR, NIX] },
];

/// Checks every consumer, even after one has failed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut problems = Vec::new();
    for consumer in CONSUMERS {
        if let Err(error) = consumer.check(workspace) {
            problems.push(format!("{}: {error:#}", consumer.name));
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

impl Consumer {
    fn check(&self, workspace: &Workspace) -> Result<()> {
        let Self { name, packages } = self;
        let shell = workspace.shell();
        let folder = workspace.root().join("tests/consumers").join(name);
        let manifest = folder.join("Cargo.toml");
        // The workspace's versions are already downloaded, and make the result reproducible. Cargo
        // removes unneeded packages from the copy.
        fs::copy(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"))?;

        let target_dir = workspace.target()?.join("consumers");
        cmd!(shell, "cargo run --quiet --manifest-path {manifest} --target-dir {target_dir}")
            .run()?;
        let tree =
            cmd!(shell, "cargo tree --manifest-path {manifest} -e normal,build --prefix none")
                .read()?;

        let allowed = packages.iter().copied().flatten().copied().collect();
        let problems = compare(&allowed, &names(&tree, name));
        if !problems.is_empty() {
            bail!("{}", problems.join("; "));
        }
        println!("{name}: {} dependencies, all of them expected", allowed.len());
        Ok(())
    }
}

/// Returns the packages in the output of `cargo tree`, which has one per line with the name first,
/// without the root.
fn names<'a>(tree: &'a str, root: &str) -> BTreeSet<&'a str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != root)
        .collect()
}

/// Reports unexpected and missing dependencies.
fn compare(allowed: &BTreeSet<&str>, found: &BTreeSet<&str>) -> Vec<String> {
    let extra = found.difference(allowed).map(|name| {
        format!(
            "{name} is an unexpected dependency: remove it, or allow it in xtask/src/consumers.rs"
        )
    });
    let missing = allowed.difference(found).map(|name| {
        format!(
            "{name} is no longer a dependency: remove it from the list in xtask/src/consumers.rs"
        )
    });
    extra.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_once_each_and_without_the_root() {
        let tree = "\
fd-only v0.1.0 (/work/tests/consumers/fd-only)
knet-fd v0.1.0 (/work/crates/knet-fd)
thiserror v2.0.1
thiserror-impl v2.0.1 (proc-macro)
thiserror v2.0.1 (*)
";
        assert_eq!(
            names(tree, "fd-only"),
            BTreeSet::from(["knet-fd", "thiserror", "thiserror-impl"])
        );
    }

    #[test]
    fn extra_and_missing_packages_are_both_reported() {
        let problems = compare(&BTreeSet::from(["libc", "nix"]), &BTreeSet::from(["nix", "rand"]));
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("rand is an unexpected"), "{}", problems[0]);
        assert!(problems[1].starts_with("libc is no longer"), "{}", problems[1]);
    }

    #[test]
    fn equal_sets_are_no_problem() {
        let set = BTreeSet::from(["libc", "nix"]);
        assert_eq!(compare(&set, &set), Vec::<String>::new());
    }
}
