//! `cargo xtask soak`: does any seed make the simulated cluster break a promise?
//!
//! The scenarios are those of the engine's `simulation` test, built with optimisation and given new
//! seeds until the time is over. A failure says which seed and which scenario it was; `--seed` with that
//! number plays it again, and `KNET_SEED` does in `cargo test`.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::workspace::Workspace;

/// The environment variable that tells the simulation its seeds.
const SEED: &str = "KNET_SEED";

/// What `cargo xtask soak` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// The first seed; those that follow are tried next. Without it: the time of day.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long to go on. The seed that is being tried then is finished. 0 tries one seed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
}

impl Options {
    /// As many seeds as a minute allows, always the same ones: a machine that judges changes is no
    /// place for luck.
    pub(crate) fn same_minute() -> Self {
        Self { seed: Some(1000), minutes: 1 }
    }
}

/// Builds the simulation and runs all of its scenarios with one seed after the other.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let simulation = build(workspace)?;
    let first = options.seed.unwrap_or_else(seed_of_now);
    let end = Instant::now() + Duration::from_secs(60) * u32::try_from(options.minutes)?;
    for seed in first.. {
        let start = Instant::now();
        let status = Command::new(&simulation)
            .env(SEED, seed.to_string())
            .arg("--quiet")
            .status()
            .with_context(|| format!("failed to run {}", simulation.display()))?;
        ensure!(
            status.success(),
            "seed {seed} broke a promise: `cargo xtask soak --seed {seed} --minutes 0` plays it again"
        );
        println!("seed {seed}: every promise kept, in {:.1} s", start.elapsed().as_secs_f64());
        if Instant::now() >= end {
            break;
        }
    }
    Ok(())
}

/// Builds the simulation and says where it is.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .current_dir(workspace.root())
        .args(["test", "--release", "--no-run", "--message-format=json-render-diagnostics"])
        .args(["--package", "knet-engine", "--test", "simulation"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("failed to start cargo")?;
    ensure!(output.status.success(), "the simulation does not build");
    executable(&output.stdout).context("cargo named no executable")
}

/// The program that cargo says it has built.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    Message::parse_stream(messages).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.profile.test => {
            artifact.executable.map(PathBuf::from)
        }
        _ => None,
    })
}

/// A seed that the next run does not have.
fn seed_of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_what_cargo_says() {
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
