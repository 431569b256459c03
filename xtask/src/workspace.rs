//! Where the commands work: the checkout, a shell that stands in its root, and what cargo knows of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use xshell::{Shell, cmd};

/// The checkout that this xtask was built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    shell: Shell,
}

impl Workspace {
    /// Finds the root (the folder above xtask's own) and points the shell there.
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

    /// A shell whose commands run in the root.
    pub(crate) fn shell(&self) -> &Shell {
        &self.shell
    }

    /// What cargo knows of the workspace's own packages, without their dependencies.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        MetadataCommand::new()
            .manifest_path(self.root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("failed to ask cargo for the workspace's packages")
    }

    /// The folder that everything built goes to, wherever the caller has put it.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        Ok(self.metadata()?.target_directory.into_std_path_buf())
    }

    /// Every file that git tracks or would take in, relative to the root and sorted.
    ///
    /// What is ignored (built things, a fuzzer's corpus) is left out, and so is a tracked file that the
    /// contributor has deleted.
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
