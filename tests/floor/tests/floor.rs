//! The floor passes on messages of every size.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::process::Command;

/// Runs the program and returns its output, or `None` if it failed.
fn bench(plan: &str) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_knet-floor"));
    let output = command.args(["bench", "--json"]).args(plan.split(' ')).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn messages_of_all_sizes_pass() {
    // Runs of up to 64 messages, single messages, and halves of messages.
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
fn unsupported_plans_are_rejected() {
    for plan in ["--links 2", "--via send", "--policy active", "--mode idle", "--mode create"] {
        assert_eq!(bench(plan), None, "{plan}");
    }
}
