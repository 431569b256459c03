//! `cargo xtask deny`: do the dependencies' licences, versions and sources comply with deny.toml?

use anyhow::Result;
use xshell::cmd;

use crate::tools;
use crate::workspace::Workspace;

/// Runs every check of cargo-deny that needs nothing but the registry. Advisories need a database
/// from the network, so the workflow checks them (`cargo deny check advisories`).
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tools::DENY.require(workspace)?;
    let shell = workspace.shell();
    cmd!(shell, "cargo deny --locked check licenses bans sources").run()?;
    Ok(())
}
