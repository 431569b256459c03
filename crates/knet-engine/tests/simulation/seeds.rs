//! The seeds of a run. A failure reports its seed, and the same seed fails the same way again.

use std::env;

/// Runs `scenario` once for each seed: the one in `KNET_SEED`, a number or a range like `1..500`,
/// or else a few fixed ones.
pub(crate) fn each_seed(scenario: impl Fn(u64)) {
    run(&FIXED, scenario);
}

/// As [`each_seed`], for what takes long: without `KNET_SEED` a single seed has to do.
pub(crate) fn one_seed(scenario: impl Fn(u64)) {
    run(&FIXED[..1], scenario);
}

fn run(fixed: &[u64], scenario: impl Fn(u64)) {
    for seed in seeds(fixed) {
        let _report = Report(seed);
        scenario(seed);
    }
}

fn seeds(fixed: &[u64]) -> Vec<u64> {
    let Ok(wanted) = env::var("KNET_SEED") else { return fixed.to_vec() };
    let number = |text: &str| {
        text.parse().unwrap_or_else(|_| panic!("KNET_SEED={wanted}: not a number or a range"))
    };
    match wanted.split_once("..") {
        Some((first, end)) => (number(first)..number(end)).collect(),
        None => vec![number(&wanted)],
    }
}

/// Prints the seed if the scenario panics.
struct Report(u64);

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {0}: run this test again with KNET_SEED={0}", self.0);
        }
    }
}

const FIXED: [u64; 4] = [1, 2, 3, 20_260_101];
