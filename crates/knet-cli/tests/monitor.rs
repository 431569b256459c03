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
    monitor.wait_until_taken();
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
fn no_key_is_lost_while_the_window_changes_its_size() {
    let (_peer, mut monitor) = running_monitor();
    for round in 0..20 {
        let order = if round % 2 == 0 { "order: trouble first" } else { "order: by host" };
        // Both at once, as when a pane is closed while keys are typed.
        monitor.resize(20 + round, 100);
        monitor.press("s");
        monitor.wait_for(order);
    }
    monitor.resize(30, 90);
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
    monitor.expect_restored();
}

/// Starts a monitor of this many peers, none of which answers. Returns it with their socket.
fn monitor_of(peers: u16, rows: u16, columns: u16) -> (UdpSocket, Terminal) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = socket.local_addr().unwrap();
    let near = free_address();
    let links: Vec<String> =
        (2..).take(peers.into()).map(|id| format!("{id}:{near}={silent}")).collect();
    let mut args = vec!["monitor", "--id", "1", "--peer"];
    args.extend(links.iter().map(String::as_str));
    (socket, terminal::start(&args, rows, columns))
}

#[test]
fn a_small_window_shows_rows_first_and_scrolls() {
    let (_silent, mut monitor) = monitor_of(30, 24, 80);
    // The details of the selected link take two lines or three.
    let is_row = |line: &&str| line.contains(" no    0    down ");
    monitor.wait_until("16 rows, and which they are", |screen| {
        let rows = screen.lines().filter(is_row).count();
        rows >= 16 && screen.contains(&format!("links 1 to {rows} of 30"))
    });
    monitor.press("\x1b[F");
    monitor.wait_for(" to 30 of 30");
    monitor.wait_for("link 0 to host 31");
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));

    let (_silent, mut monitor) = monitor_of(3, 10, 40);
    monitor.wait_until("all rows, details and keys", |screen| {
        let lines: Vec<&str> = screen.lines().collect();
        lines.len() == 10
            && lines[1].starts_with("HOST")
            && (2..5).all(|row| lines[row].starts_with(&row.to_string()))
            && lines[6].starts_with("link 0 to host 2:")
            && lines[7].starts_with("  127.")
            && lines[9].starts_with("q quit")
    });
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
}

#[test]
fn nothing_is_left_behind_on_the_screen() {
    let (_peer, link) = peer("2");
    let args = ["monitor", "--id", "1", "--peer", &link];
    let mut monitor = terminal::start_below("$ knet monitor\r\n", &args, 24, 100);
    monitor.wait_for("1 of 1 links up");
    for (rows, columns) in [(12, 60), (24, 100)] {
        monitor.resize(rows, columns);
        monitor.wait_until("a complete screen", |screen| {
            screen.lines().count() == usize::from(rows)
                && screen.lines().filter(|line| line.starts_with("q quit")).count() == 1
                && screen.lines().filter(|line| line.starts_with("HOST")).count() == 1
        });
    }
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
    monitor.expect_restored();
    assert_eq!(monitor.screen().trim_end(), "$ knet monitor");
}

#[test]
fn the_help_lists_the_keys() {
    let (_peer, mut monitor) = running_monitor();
    monitor.press("?");
    monitor.wait_for("control-Z");
    monitor.press("?");
    monitor.wait_for("HOST");
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
}

#[test]
fn control_z_stops_it_and_it_goes_on_when_it_is_continued() {
    let (_peer, mut monitor) = running_monitor();
    for _ in 0..2 {
        monitor.press("\x1a");
        monitor.wait_until_stopped();
        monitor.expect_restored();
        monitor.signal(Signal::SIGCONT);
        monitor.wait_for("1 of 1 links up");
        monitor.wait_until_taken();
    }
    // Without warning, and the shell uses the terminal meanwhile.
    monitor.signal(Signal::SIGSTOP);
    monitor.wait_until_stopped();
    monitor.disturb("\x1b[?1049l$ fg\r\n");
    monitor.signal(Signal::SIGCONT);
    monitor.wait_until("a complete screen", |screen| {
        screen.contains("1 of 1 links up") && !screen.contains("$ fg")
    });
    monitor.press("q");
    assert_eq!(monitor.wait(), Some(0));
    monitor.expect_restored();
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
