//! `cargo xtask fuzz`: does any input break a parser or the engine?

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::tools;
use crate::workspace::Workspace;

/// Where cargo-fuzz finds the targets: a workspace of its own, because it needs nightly.
const FUZZ_DIR: &str = "tests/fuzz";

/// The arguments of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Runs this target only.
    #[arg(long, value_name = "T")]
    target: Option<String>,
}

impl Options {
    /// Selects every target for this many seconds.
    pub(crate) fn all_for(seconds: u32) -> Self {
        Self { seconds, target: None }
    }
}

/// Builds all targets, then runs them one after the other. A failing target does not prevent the
/// others from running.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    tools::FUZZ.require(workspace)?;
    let targets = chosen(targets(&workspace.root().join(FUZZ_DIR))?, options.target.as_deref())?;
    let shell = workspace.shell();
    let target_dir = workspace.target()?.join("fuzz");
    // The fuzzed crates forbid unsafe code, so the address sanitizer would only cost time.
    let common = ["--fuzz-dir", FUZZ_DIR, "--sanitizer", "none", "--target-dir"];
    for target in &targets {
        cmd!(shell, "cargo +nightly fuzz build {common...} {target_dir} {target}").run()?;
    }
    let limit = format!("-max_total_time={}", options.seconds);
    // Inputs that reach new code are not printed; failures are.
    let how = ["-timeout=10", "-len_control=0", "-verbosity=0", "-print_final_stats=1"];
    let mut broken = Vec::new();
    for target in targets {
        let run = cmd!(
            shell,
            "cargo +nightly fuzz run {common...} {target_dir} {target} -- {limit} {how...}"
        );
        if run.run().is_err() {
            broken.push(target);
        }
    }
    ensure!(
        broken.is_empty(),
        "broken by an input: {} (saved in {FUZZ_DIR}/artifacts)",
        broken.join(", ")
    );
    Ok(())
}

/// Lists the targets by their files, so that a new one needs to be named in one place only.
fn targets(fuzz_dir: &Path) -> Result<Vec<String>> {
    let dir = fuzz_dir.join("fuzz_targets");
    let entries = dir
        .read_dir()
        .with_context(|| format!("cannot list the fuzz targets in {}", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("rs")) {
            names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns all targets, or the requested one.
fn chosen(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>> {
    ensure!(!targets.is_empty(), "{FUZZ_DIR}/fuzz_targets has no target");
    match wanted {
        None => Ok(targets),
        Some(name) if targets.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("unknown fuzz target {name}: use one of {}", targets.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_rust_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("fuzz_targets");
        std::fs::create_dir(&folder).unwrap();
        for name in ["wire.rs", "engine.rs", "notes.md"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(targets(dir.path()).unwrap(), ["engine", "wire"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = targets(Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/fuzz_targets"), "{error}");
    }

    #[test]
    fn one_target_may_be_chosen_and_must_exist() {
        let all = || vec!["engine".to_owned(), "wire".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("wire")).unwrap(), ["wire"]);
        let error = chosen(all(), Some("wirre")).unwrap_err();
        assert!(error.to_string().contains("engine, wire"), "{error}");
    }

    #[test]
    fn no_target_at_all_is_an_error() {
        assert!(chosen(Vec::new(), None).is_err());
    }
}
