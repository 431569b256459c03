//! `cargo xtask doc`: does the documentation build without a warning?

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Builds the documentation twice: first with private items, whose links break as easily as others,
/// then as users see it, which stays in the target folder.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    let _deny = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --document-private-items").run()?;
    cmd!(shell, "cargo doc --workspace --no-deps").run()?;
    Ok(())
}
