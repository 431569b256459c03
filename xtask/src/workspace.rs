//! The checkout that the commands work on, a shell in its root, and cargo's metadata.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Message, Metadata, MetadataCommand};
use xshell::{Shell, cmd};

/// The checkout that this xtask was built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    shell: Shell,
}

impl Workspace {
    /// Finds the root, which is the folder above xtask's own, and opens a shell there.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not in a folder of the workspace")?
            .to_path_buf();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Self { root, shell })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a shell whose commands run in the root.
    pub(crate) fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Returns cargo's metadata of the workspace's packages, without their dependencies.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        MetadataCommand::new()
            .manifest_path(self.root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("failed to ask cargo for the workspace's packages")
    }

    /// Returns the folder for build output, wherever the caller has put it.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        Ok(self.metadata()?.target_directory.into_std_path_buf())
    }

    /// Builds a test or a benchmark with this command of cargo, and returns its program.
    pub(crate) fn executable(&self, command: &[&str]) -> Result<PathBuf> {
        let how = ["--no-run", "--locked", "--message-format=json-render-diagnostics"];
        let messages = cmd!(self.shell, "cargo {command...} {how...}").read()?;
        executable(messages.as_bytes()).context("cargo reported no executable")
    }

    /// Returns every file that git tracks or would add, relative to the root and sorted.
    ///
    /// Ignored files (build output, a fuzzer's corpus) are left out, and so are tracked files that
    /// the contributor has deleted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let listed = cmd!(self.shell, "git ls-files -z --cached --others --exclude-standard")
            .quiet()
            .read()?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

/// Returns the test or benchmark that cargo reports to have built.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    Message::parse_stream(messages).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.profile.test => {
            artifact.executable.map(PathBuf::from)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages_of_cargo() {
        let artifact = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"p","manifest_path":"/Cargo.toml","target":{{"kind":["test"],"crate_types":["bin"],"name":"simulation","src_path":"/main.rs","edition":"2024","doc":false,"doctest":false,"test":true}},"profile":{{"opt_level":"3","debuginfo":1,"debug_assertions":false,"overflow_checks":false,"test":{test}}},"features":[],"filenames":[],"executable":{executable},"fresh":true}}"#
            )
        };
        let library = artifact(false, "null");
        let simulation = artifact(true, "\"/target/simulation-1\"");
        let messages = format!("{library}\n{simulation}\n");
        assert_eq!(executable(messages.as_bytes()), Some(PathBuf::from("/target/simulation-1")));
        assert_eq!(executable(library.as_bytes()), None);
    }
}
