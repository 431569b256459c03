//! `cargo xtask fmt`: is everything formatted as rustfmt would?

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Checks the workspace and the packages that are deliberately outside it.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    cmd!(shell, "cargo fmt --all --check").run()?;
    for manifest in outside_the_workspace(&workspace.files()?) {
        cmd!(shell, "cargo fmt --manifest-path {manifest} --check").run()?;
    }
    Ok(())
}

/// Returns the manifests of `tests/consumers` and `tests/fuzz`, which `--all` does not cover.
fn outside_the_workspace(files: &[String]) -> impl Iterator<Item = &String> {
    files.iter().filter(|path| {
        (path.starts_with("tests/consumers/") || path.starts_with("tests/fuzz/"))
            && path.ends_with("/Cargo.toml")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_manifests_of_separate_packages_are_formatted_one_by_one() {
        let files = [
            "Cargo.toml",
            "crates/knet-fd/Cargo.toml",
            "tests/Cargo.toml",
            "tests/consumers/fd-only/Cargo.toml",
            "tests/consumers/fd-only/src/main.rs",
            "tests/fuzz/Cargo.toml",
        ]
        .map(str::to_owned);
        let found: Vec<_> = outside_the_workspace(&files).collect();
        assert_eq!(found, ["tests/consumers/fd-only/Cargo.toml", "tests/fuzz/Cargo.toml"]);
    }
}
