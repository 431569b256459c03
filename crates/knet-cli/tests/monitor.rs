//! `knet monitor`, on a terminal and in scripts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;
mod terminal;

use std::net::UdpSocket;

use nix::sys::signal::Signal;
use process::{Finished, Running, free_address, run, start};
use serde_json::Value;
use terminal::Terminal;

/// Starts a peer. Returns it with the `--peer` of a monitor with id 1.
fn peer(id: &str) -> (Running, String) {
    let (near, far) = (free_address(), free_address());
    let peer = start(&["cat", "--id", id, "--wait", "3600", "--peer", &format!("1:{far}={near}")]);
    (peer, format!("{id}:{near}={far}"))
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(finished.text()).unwrap()
}

#[test]
fn once_reports_everything_about_a_healthy_link_to_scripts() {
    let (_peer, link) = peer("2");
    let args = ["monitor", "--once", "--wait", "60", "--format", "json", "--id", "1", "--peer"];
    let finished = run(&[&args[..], &[&link]].concat(), b"");
    finished.expect_success();
    let seen = json(&finished);
    assert_eq!((&seen["schema"], &seen["id"]), (&1.into(), &1.into()));
    assert_eq!(seen["all_reachable"], true);
    let host = &seen["hosts"][0];
    assert_eq!((&host["id"], &host["reachable"]), (&2.into(), &true.into()));
    let seen_link = &host["links"][0];
    let [local, remote] = ["local", "remote"].map(|end| seen_link[end].as_str().unwrap());
    assert_eq!(format!("2:{local}={remote}"), link);
    assert!(seen_link["up_count"].as_u64() >= Some(1));
    assert!(seen_link["latency_us"].as_u64() <= seen_link["latency_max_us"].as_u64());
    assert!(seen_link["latency_us"].is_u64());
    for way in ["sent", "received"] {
        assert!(seen_link[way]["packets"].as_u64() >= Some(5), "as many pongs as it takes");
        assert!(seen_link[way]["bytes"].as_u64() > seen_link[way]["packets"].as_u64());
        assert!(seen_link[way]["packets_per_second"].as_f64() > Some(0.0));
    }
    let events = seen["events"].as_array().unwrap();
    let happened = |word| events.iter().any(|event| event["event"] == word && event["host"] == 2);
    assert!(happened("link-up") && happened("reachable"), "{events:?}");
    for stray in ["malformed", "unknown_host", "unknown_link", "wrong_source", "forged_pong"] {
        assert_eq!(seen["strays"][stray], 0, "{stray}");
    }
}

#[test]
fn a_learned_address_is_shown() {
    let (_peer, link) = peer("2");
    let (path, remote) = link.split_once('=').unwrap();
    let args = ["monitor", "--once", "--wait", "60", "--format", "json", "--id", "1", "--peer"];
    let finished = run(&[&args[..], &[&format!("{path}=127.0.0.0/8")]].concat(), b"");
    finished.expect_success();
    let link = &json(&finished)["hosts"][0]["links"][0];
    assert_eq!((&link["up"], &link["remote"]), (&true.into(), &remote.into()));
}

#[test]
fn a_network_is_shown_until_the_address_is_learned() {
    let link = format!("2:{}=10.0.0.0/8", free_address());
    let args = ["monitor", "--once", "--wait", "0", "--format", "json", "--id", "1", "--peer"];
    let finished = run(&[&args[..], &[&link]].concat(), b"");
    finished.expect_failure(3);
    let link = &json(&finished)["hosts"][0]["links"][0];
    assert_eq!(link["remote"], "10.0.0.0/8");
    assert_eq!(link["reason"]["code"], "no-peer-yet");
}

#[test]
fn once_shows_people_which_peer_is_missing_and_why() {
    let (_peer, link) = peer("2");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unanswered = format!("3:{}={}", free_address(), silent.local_addr().unwrap());
    let refused = format!("4:{}={}", free_address(), free_address());
    let args = ["monitor", "--once", "--wait", "5", "--id", "1", "--peer"];
    let finished = run(&[&args[..], &[&link, &unanswered, &refused]].concat(), b"");
    assert!(finished.expect_failure(3).contains("host 3, host 4"), "{}", finished.stderr);
    let text = finished.text();
    let row = |host: &str| text.lines().skip(2).find(|line| line.starts_with(host)).unwrap();
    assert!(row("3").contains("down") && row("3").ends_with("not enough pongs yet"), "{text}");
    assert!(row("4").ends_with("Connection refused (os error 111)"), "{text}");
}

#[test]
fn a_signal_ends_the_wait_of_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let link = format!("2:{}={}", free_address(), silent.local_addr().unwrap());
    let args = ["monitor", "--once", "--wait", "3600", "--format", "json", "--id", "1", "--peer"];
    let running = start(&[&args[..], &[&link]].concat());
    // It is running once it pings.
    silent.recv(&mut [0; 2000]).unwrap();
    running.signal(Signal::SIGTERM);
    let finished = running.finish_with_open_input();
    finished.expect_failure(3);
    let link = &json(&finished)["hosts"][0]["links"][0];
    assert_eq!((&link["up"], &link["reason"]["code"]), (&false.into(), &"no-pong-yet".into()));
    assert_eq!((&link["latency_us"], &link["path_mtu"]), (&Value::Null, &Value::Null));
}

#[test]
fn without_a_terminal_the_error_suggests_once() {
    let link = format!("2:{}={}", free_address(), free_address());
    let finished = run(&["monitor", "--id", "1", "--peer", &link], b"");
    let line = finished.expect_failure(2);
    assert!(line.contains("not a terminal") && line.contains("--once"), "{line}");
    let finished = run(&["monitor", "--id", "1", "--format", "json", "--peer", &link], b"");
    assert!(finished.expect_failure(2).contains("--once"), "{}", finished.stderr);
}

/// Starts a monitor on a terminal, and waits until it shows that its link to host 2 is up.
fn running_monitor() -> (Running, Terminal) {
    let (peer, link) = peer("2");
    let mut monitor = terminal::start(&["monitor", "--id", "1", "--peer", &link], 24, 100);
    monitor.wait_for("1 of 1 links up");
    assert!(monitor.is_taken());
    (peer, monitor)
}

#[test]
fn the_screen_shows_a_link_that_fails_and_why() {
    let (peer, mut monitor) = running_monitor();
    monitor.wait_for("link 0 to host 2 is up");
    peer.signal(Signal::SIGKILL);
    monitor.wait_for("0 of 1 peers reachable, 0 of 1 links up");
    monitor.wait_for("link 0 to host 2 is down: Connection refused");
    monitor.wait_for("host 2 is not reachable");
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
    monitor.expect_restored();
}

#[test]
fn keys_change_what_is_shown() {
    let (first, link) = peer("2");
    let refused = format!("3:{}={}", free_address(), free_address());
    let args = ["monitor", "--id", "1", "--peer", &link, &refused];
    let mut monitor = terminal::start(&args, 24, 100);
    monitor.wait_for("1 of 2 links up");
    monitor.wait_for("link 0 to host 2: ");
    let row = |screen: &str, host| screen.lines().position(|line| line.starts_with(host)).unwrap();
    assert!(row(&monitor.screen(), "2 ") < row(&monitor.screen(), "3 "));
    monitor.press("\x1b[B");
    monitor.wait_for("link 0 to host 3: ");
    monitor.press("s");
    monitor.wait_for("order: trouble first");
    assert!(row(&monitor.screen(), "2 ") > row(&monitor.screen(), "3 "));
    monitor.press("\x03");
    assert_eq!(monitor.wait(), Some(0));
    monitor.expect_restored();
    drop(first);
}

#[test]
fn it_adapts_to_the_size_of_the_window() {
    let (_peer, mut monitor) = running_monitor();
    for (rows, columns) in [(12, 80), (40, 132)] {
        monitor.resize(rows, columns);
        monitor.wait_until("the last line at the bottom", |screen| {
            let lines: Vec<&str> = screen.lines().collect();
            lines.len() == usize::from(rows)
                && lines[usize::from(rows) - 1].starts_with("q quit")
                && lines[0].ends_with("UTC")
                && lines[0].len() == usize::from(columns)
        });
    }
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
}

#[test]
fn signals_end_it_and_restore_the_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let (_peer, mut monitor) = running_monitor();
        monitor.signal(signal);
        assert_eq!(monitor.wait(), Some(0), "{signal}");
        monitor.expect_restored();
    }
}

#[test]
fn closing_the_terminal_ends_it() {
    let (_peer, monitor) = running_monitor();
    assert_eq!(monitor.close(), Some(0));
}
