//! `cargo xtask lint`: does clippy have anything to say?

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Runs clippy over libraries, programs, tests, examples and benches. Warnings are errors here and in
/// CI only, so that they do not stop anyone half-way through a change.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    // Without their features the suites that take libknet or root would be left out.
    let features = ["--features", "knet-tests/interop,knet-tests/netns"];
    cmd!(shell, "cargo clippy --workspace --all-targets {features...} -- -D warnings").run()?;
    Ok(())
}
