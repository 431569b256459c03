//! `cargo xtask doc`: does the documentation build without a warning?

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Builds the documentation twice: first with the private items, whose links break as easily as any
/// other, then as users see it, which is what stays in the target folder.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    let _deny = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --document-private-items").run()?;
    cmd!(shell, "cargo doc --workspace --no-deps").run()?;
    Ok(())
}
