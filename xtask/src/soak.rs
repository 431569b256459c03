//! `cargo xtask soak`: does any seed break an invariant of the simulated cluster?
//!
//! The scenarios are those of the engine's `simulation` test, built with optimisation and run with
//! new seeds until the time is over. A failure reports the seed and the scenario; `--seed` with
//! that number repeats it, as does `KNET_SEED` in `cargo test`.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::workspace::Workspace;

/// The environment variable that sets the seeds of the simulation.
const SEED: &str = "KNET_SEED";

/// The arguments of `cargo xtask soak`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// The first seed, followed by its successors. Default: the current time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long to run, to the end of the last seed. 0 runs one seed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
}

impl Options {
    /// Selects the seeds that fit into a minute, always the same ones: a check of changes must be
    /// reproducible.
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
            "seed {seed} broke an invariant: `cargo xtask soak --seed {seed} --minutes 0` repeats it"
        );
        println!("seed {seed}: all invariants hold, in {:.1} s", start.elapsed().as_secs_f64());
        if Instant::now() >= end {
            break;
        }
    }
    Ok(())
}

/// Builds the simulation and returns its path.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .current_dir(workspace.root())
        .args(["test", "--release", "--no-run", "--message-format=json-render-diagnostics"])
        .args(["--package", "knet-engine", "--test", "simulation"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("failed to start cargo")?;
    ensure!(output.status.success(), "the simulation does not build");
    executable(&output.stdout).context("cargo reported no executable")
}

/// Returns the program that cargo reports to have built.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    Message::parse_stream(messages).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.profile.test => {
            artifact.executable.map(PathBuf::from)
        }
        _ => None,
    })
}

/// Returns a seed that no later run has.
fn seed_of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
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
