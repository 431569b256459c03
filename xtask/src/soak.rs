//! `cargo xtask soak`: does any seed break an invariant of the simulated cluster?
//!
//! The scenarios are those of the engine's `simulation` test, built with optimisation and run with
//! new seeds until the time is over. A failure reports the seed and the scenario; `--seed` with
//! that number repeats it, as does `KNET_SEED` in `cargo test`.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

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
    let simulation = workspace.executable(&[
        "test",
        "--release",
        "--package",
        "knet-engine",
        "--test",
        "simulation",
    ])?;
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

/// Returns a seed that no later run has.
fn seed_of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
