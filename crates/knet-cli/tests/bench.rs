//! `knet bench`, in one process and in two.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use nix::sys::signal::Signal;
use process::{Finished, Running, free_address, run, start};
use serde_json::Value;

fn report(finished: &Finished) -> Value {
    finished.expect_success();
    serde_json::from_str(finished.text()).unwrap()
}

#[test]
fn a_run_in_one_process_counts_every_message() {
    for more in [
        "--size 64",
        "--size 65536 --window 4",
        "--via send",
        "--links 2 --policy active",
        "--links 2 --policy rr",
    ] {
        let args = ["bench", "--json", "--count", "300"].into_iter().chain(more.split(' '));
        let report = report(&run(&args.collect::<Vec<_>>(), b""));
        assert_eq!((&report["messages"], &report["lost"]), (&300.into(), &0.into()), "{more}");
        for figure in ["messages_per_second", "megabytes_per_second", "resident_bytes"] {
            assert!(report[figure].as_f64().unwrap() > 0.0, "{more}: {report}");
        }
        assert!(report["latency"].is_null(), "{more}");
        assert!(report["subject"].as_str().unwrap().starts_with("kronosnet "), "{more}");
    }
}

#[test]
fn round_trips_are_timed() {
    for via in ["datafd", "send"] {
        let args = ["bench", "--json", "--mode", "latency", "--count", "50", "--via", via];
        let report = report(&run(&args, b""));
        let latency = |quantile| report["latency"][quantile].as_f64().unwrap();
        assert!(0.0 < latency("median") && latency("median") <= latency("p999"), "{report}");
    }
}

#[test]
fn two_processes_measure_together() {
    let (one, two) = (free_address(), free_address());
    for mode in ["throughput", "latency"] {
        let plan = ["--json", "--count", "300", "--window", "8", "--mode", mode];
        let to_one = format!("1:{two}={one}");
        let receiver = ["bench", "--role", "recv", "--id", "2", "--peer", &to_one];
        let receiver = start(&[&receiver, &plan[..]].concat());
        let to_two = format!("2:{one}={two}");
        let sender = ["bench", "--role", "send", "--id", "1", "--peer", &to_two];
        let sent = report(&run(&[&sender, &plan[..]].concat(), b""));
        let received = report(&receiver.finish());
        assert_eq!(sent["messages"], 300, "{mode}");
        assert_eq!(received["messages"], 300, "{mode}");
        assert_eq!(sent["latency"].is_object(), mode == "latency");
    }
}

/// Starts two processes of a run, host 1 and host 2, with these arguments each.
fn two(one: &[&str], two: &[&str]) -> [Running; 2] {
    let (near, far) = (free_address(), free_address());
    let paths = [format!("2:{near}={far}"), format!("1:{far}={near}")];
    [("1", one, &paths[0]), ("2", two, &paths[1])]
        .map(|(id, args, path)| start(&[&["bench", "--id", id, "--peer", path], args].concat()))
}

#[test]
fn plans_that_differ_are_named_on_both_sides() {
    let plan = ["--count", "100", "--role"];
    for (one, other, named) in [
        (&["send"][..], &["recv", "--size", "64"][..], "--size is "),
        (&["send", "--mode", "latency"], &["recv"], "--mode is "),
        (&["send"], &["send"], "both hosts have --role send"),
        (&["recv"], &["recv"], "both hosts have --role recv"),
    ] {
        let ends = two(&[&plan, one].concat(), &[&plan, other].concat());
        for end in ends.map(Running::finish) {
            assert!(end.expect_failure(2).contains(named), "{}", end.stderr);
        }
    }
}

#[test]
fn nothing_waits_for_a_peer_that_was_killed() {
    for mode in ["throughput", "latency"] {
        let plan = ["--count", "1000000000", "--mode", mode, "--role"];
        for killed in [0, 1] {
            let mut ends =
                two(&[&plan[..], &["send"]].concat(), &[&plan[..], &["recv"]].concat()).map(Some);
            for end in ends.iter().flatten() {
                end.wait_until_busy();
            }
            ends[killed].take().unwrap().signal(Signal::SIGKILL);
            let left = ends.into_iter().flatten().next().unwrap().finish();
            let line = left.expect_failure(3);
            let lost = format!("host {} was lost; ", killed + 1);
            assert!(line.starts_with(&lost) && line.ends_with("messages received"), "{line}");
        }
    }
}

#[test]
fn people_get_lines() {
    let finished = run(&["bench", "--count", "100"], b"");
    finished.expect_success();
    let text = finished.text();
    for part in ["100 messages of 1024 bytes", "0 lost", "MB/s", "CPU", "MiB resident"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_missing_peer_is_exit_code_3() {
    let (one, two) = (free_address(), free_address());
    let peer = format!("2:{one}={two}");
    let args = ["bench", "--role", "recv", "--id", "1", "--peer", &peer, "--wait", "0.2"];
    let finished = run(&args, b"");
    let line = finished.expect_failure(3);
    assert!(line.contains("host 2 is not reachable"), "{line}");
}

#[test]
fn an_idle_handle_is_measured() {
    let args = ["bench", "--json", "--mode", "idle", "--seconds", "1"];
    let report = report(&run(&[&args[..], &["--links", "0"]].concat(), b""));
    assert!(report["resident_bytes"].as_u64().unwrap() > 100_000, "{report}");
    assert!(report["wake_ups_per_second"].as_f64().unwrap() >= 0.0, "{report}");
    run(&args, b"").expect_failure(2);
}

#[test]
fn creating_handles_is_timed() {
    let report = report(&run(&["bench", "--json", "--mode", "create", "--count", "3"], b""));
    assert_eq!(report["handles"], 3);
    assert!(report["milliseconds_per_handle"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn idle_hosts_and_channels_are_configured() {
    let args = ["bench", "--json", "--count", "100", "--hosts", "20", "--channels", "32"];
    assert_eq!(report(&run(&args, b""))["messages"], 100);
}
