//! The floor passes every message on, whatever fits together how.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

/// Runs the program; what it wrote, if it did well.
fn bench(plan: &str) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_knet-floor"));
    let output = command.args(["bench", "--json"]).args(plan.split(' ')).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn messages_of_all_sizes_pass() {
    // Segmented 64 or fewer at a time, each alone, and in halves.
    for plan in [
        "--size 8 --count 500",
        "--size 1024 --count 500",
        "--size 40000 --count 100 --window 16",
        "--size 65507 --count 100 --window 16",
        "--size 65536 --count 100 --window 16",
        "--mode latency --size 65536 --count 50",
    ] {
        let report = bench(plan).unwrap();
        assert!(
            report.contains("\"lost\":0") && report.contains("\"subject\":\"floor\""),
            "{plan}"
        );
    }
}

#[test]
fn what_it_has_not_is_refused() {
    for plan in ["--links 2", "--via send", "--policy active", "--mode idle", "--mode create"] {
        assert_eq!(bench(plan), None, "{plan}");
    }
}
