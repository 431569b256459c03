//! `cargo xtask tools`: the cargo commands that are not part of Rust, in pinned versions.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::workspace::Workspace;

/// Checks the dependencies against deny.toml.
pub(crate) const DENY: Tool = Tool { subcommand: "deny", version: "0.20.2" };
/// Builds and runs the fuzz targets.
pub(crate) const FUZZ: Tool = Tool { subcommand: "fuzz", version: "0.13.2" };

/// A cargo command; its package is named `cargo-` and the command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    subcommand: &'static str,
    version: &'static str,
}

impl Tool {
    /// Fails if the tool is not installed, and reports how to install it. Any version is accepted:
    /// a contributor may have a newer one.
    pub(crate) fn require(self, workspace: &Workspace) -> Result<()> {
        if self.installed(workspace).is_none() {
            bail!("cargo-{} is not installed: `cargo xtask tools` installs it", self.subcommand);
        }
        Ok(())
    }

    /// Returns the version that is installed.
    fn installed(self, workspace: &Workspace) -> Option<String> {
        let shell = workspace.shell();
        let subcommand = self.subcommand;
        let said =
            cmd!(shell, "cargo {subcommand} --version").quiet().ignore_stderr().read().ok()?;
        version_in(&said).map(str::to_owned)
    }

    /// Builds and installs the pinned version, unless it is installed.
    fn install(self, workspace: &Workspace) -> Result<()> {
        let Self { subcommand, version } = self;
        if self.installed(workspace).as_deref() == Some(version) {
            println!("cargo-{subcommand} {version} is installed");
            return Ok(());
        }
        // The tools run for a second or two, and take minutes to optimise.
        let shell = workspace.shell();
        cmd!(shell, "cargo install --locked --force cargo-{subcommand}@{version}")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            .run()?;
        Ok(())
    }
}

/// Installs every tool.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    DENY.install(workspace)?;
    FUZZ.install(workspace)
}

/// Reads the version from a tool's output, as in `cargo-deny 0.20.2`.
fn version_in(said: &str) -> Option<&str> {
    said.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_second_word() {
        assert_eq!(version_in("cargo-deny 0.20.2\n"), Some("0.20.2"));
        assert_eq!(version_in(""), None);
    }
}
