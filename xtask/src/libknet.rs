//! Installation of libknet, against which kronosnet is tested and measured.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::workspace::Workspace;

/// Debian's package of libknet.
const PACKAGE: &str = "libknet1";

/// Ensures that libknet can be used, prints its version, and builds the programs of a comparison:
/// `libknet-peer`, and `knet` for the other side.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    cmd!(shell, "cargo build --package libknet-peer --package knet-cli").run()?;
    if is_usable(workspace) {
        return Ok(());
    }
    if install(workspace).is_err() || !is_usable(workspace) {
        bail!(
            "libknet.so.1 is missing and could not be installed: as root run `apt-get install {PACKAGE}`, \
             or whatever brings it on this system"
        );
    }
    Ok(())
}

/// Returns `true` if libknet is installed, and prints its version on standard error.
fn is_usable(workspace: &Workspace) -> bool {
    let shell = workspace.shell();
    cmd!(shell, "cargo run --quiet --package libknet-peer -- version").quiet().run().is_ok()
}

fn install(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    let _quiet = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    cmd!(shell, "apt-get update --quiet").run()?;
    cmd!(shell, "apt-get install --quiet --yes --no-install-recommends {PACKAGE}").run()?;
    Ok(())
}
