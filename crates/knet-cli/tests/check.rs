//! `knet check` against itself, against other nodes, and over broken networks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;
mod wire;

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use process::{Finished, Running, free_address, free_port, run, start};
use serde_json::Value;
use wire::Wire;

/// How long a check waits for something that never happens. Long enough for everything that has to
/// happen meanwhile, even on a busy machine.
const WAIT: &str = "8";

/// Returns `--peer` for host 1 and for host 2 of a link between these addresses.
fn ends(one: SocketAddr, two: SocketAddr) -> [String; 2] {
    [format!("2:{one}={two}"), format!("1:{two}={one}")]
}

/// Returns a link over a wire that drops the packets selected by `drops`: `--peer` for both ends, and
/// the address of the first.
fn wired(
    drops: impl Fn(&wire::Passing<'_>) -> bool + Send + Sync + 'static,
) -> (Wire, [String; 2], SocketAddr) {
    let (one, two) = (free_address(), free_address());
    let wire = Wire::between(one, two, drops);
    let peers = [format!("2:{one}={}", wire.for_one), format!("1:{two}={}", wire.for_two)];
    (wire, peers, one)
}

/// Starts a node that does not run `knet check`, and waits until its pings arrive at this address.
fn node(id: &str, peer: &str, heard_at: SocketAddr, more: &[&str]) -> Running {
    let listener = UdpSocket::bind(heard_at).unwrap();
    node_heard_by(&listener, id, peer, more)
}

/// Starts a node, and waits until its pings arrive at this socket.
fn node_heard_by(listener: &UdpSocket, id: &str, peer: &str, more: &[&str]) -> Running {
    listener.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let node = start(&[&["cat", "--id", id, "--wait", "3600", "--peer", peer][..], more].concat());
    listener.recv(&mut [0; 2000]).unwrap();
    node
}

/// Starts a check that prints JSON.
fn check(id: &str, peers: &[&str], more: &[&str]) -> Running {
    let args = ["check", "--id", id, "--format", "json"];
    start(&[&args[..], more, &["--peer"], peers].concat())
}

/// Runs a short check that prints a table.
fn table(peers: &[&str], wait: &str) -> Finished {
    let args = ["check", "--id", "1", "--count", "5", "--wait", wait, "--peer"];
    run(&[&args[..], peers].concat(), b"")
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(finished.text()).unwrap()
}

fn codes(link: &Value) -> Vec<&str> {
    let findings = link["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[test]
fn two_checks_exchange_their_reports_on_both_links() {
    let links = [ends(free_address(), free_address()), ends(free_address(), free_address())];
    let hosts = [0, 1].map(|host| {
        let id = (host + 1).to_string();
        check(
            &id,
            &[&links[0][host], &links[1][host]],
            &["--exchange", "always", "--count", "5", "--wait", "40"],
        )
    });
    for (host, finished) in (1u64..).zip(hosts.map(Running::finish_with_open_input)) {
        finished.expect_success();
        let seen = json(&finished);
        assert_eq!((&seen["schema"], &seen["id"]), (&1.into(), &host.into()));
        assert_eq!((&seen["ok"], &seen["verdict"]), (&true.into(), &"all 2 links are fine".into()));
        for (id, link) in (0..).zip(seen["links"].as_array().unwrap()) {
            assert_eq!((&link["host"], &link["link"]), (&(3 - host).into(), &id.into()));
            assert_eq!((&link["ok"], &link["up"]), (&true.into(), &true.into()), "{link}");
            assert_eq!(link["loss_percent"], 0.0);
            assert!(link["pings_sent"].as_u64() >= Some(5) && link["latency_us"].is_u64());
            assert!(link["path_mtu"].is_u64() && link["pings_heard"] != 0);
            // Both links are on the loopback interface of this machine.
            assert_eq!(codes(link).contains(&"shared-network"), id == 1, "{link}");
            let there = &link["peer"];
            assert!(there["up"] == true && there["sent"] == there["answered"], "{link}");
            assert!(there["heard"].as_u64() >= Some(5), "{link}");
        }
    }
}

#[test]
fn any_node_can_be_the_peer() {
    let (near, far) = (free_address(), free_address());
    let [one, two] = ends(near, far);
    let _peer = node("2", &two, near, &[]);
    let finished = table(&[&one], "60");
    finished.expect_success();
    let text = finished.text();
    assert!(text.contains("ok from here"), "{text}");
    assert!(text.ends_with("verdict: the link is fine\n"), "{text}");

    let missing = check("1", &[&one], &["--exchange", "always", "--count", "5", "--wait", WAIT]);
    let finished = missing.finish_with_open_input();
    finished.expect_failure(3);
    assert_eq!(codes(&json(&finished)["links"][0]), ["no-report-from-peer"]);
}

#[test]
fn ipv6_links_are_tested_too() {
    let [near, far] = [0, 1].map(|_| free_port(Ipv6Addr::LOCALHOST.into()));
    let [one, two] = ends(near, far);
    let _peer = node("2", &two, near, &[]);
    let args = ["--exchange", "never", "--count", "5", "--wait", "60"];
    let finished = check("1", &[&one], &args).finish_with_open_input();
    finished.expect_success();
    let link = &json(&finished)["links"][0];
    assert_eq!((&link["local"], &link["up"]), (&near.to_string().into(), &true.into()));
}

#[test]
fn a_closed_port_and_a_silent_one_are_distinguished() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = free_address();
    let peers = [
        format!("2:{}={refused}", free_address()),
        format!("3:{}={}", free_address(), silent.local_addr().unwrap()),
    ];
    let finished = table(&[&peers[0], &peers[1]], WAIT);
    let line = finished.expect_failure(3);
    assert!(line.contains("2 of 2 links at fault: link 0 to host 2, link 0 to host 3"), "{line}");
    let text = finished.text();
    assert!(text.contains(&format!("nothing listens on {refused}")), "{text}");
    assert!(text.contains(&format!("no answer from {}", silent.local_addr().unwrap())), "{text}");
}

#[test]
fn a_wire_that_works_in_one_direction_is_reported_by_direction() {
    let (_wire, [one, two], near) = wired(|packet| packet.from_one);
    let _peer = node("2", &two, near, &[]);
    let finished = table(&[&one], WAIT);
    finished.expect_failure(3);
    let text = finished.text();
    assert!(text.contains("pings from host 2 arrive here but ours are not answered"), "{text}");

    // The other side observes nothing at all, except through a check there and a second link.
    let (_wire, [one, two], _) = wired(|packet| packet.from_one);
    let good = ends(free_address(), free_address());
    let more = ["--exchange", "always", "--count", "5", "--wait", WAIT];
    let hosts = [("1", &one, &good[0]), ("2", &two, &good[1])]
        .map(|(id, bad, good)| check(id, &[bad, good], &more));
    let [first, second] = hosts.map(|host| json(&host.finish_with_open_input()));
    assert_eq!(codes(&first["links"][0]), ["one-way"]);
    assert_eq!(codes(&second["links"][0]), ["inbound-lost"]);
    for seen in [first, second] {
        assert_eq!(seen["links"][1]["ok"], true, "{seen}");
    }
}

#[test]
fn lost_pings_are_counted() {
    let pings = AtomicU32::new(0);
    let (_wire, [one, two], near) = wired(move |packet| {
        packet.from_one && packet.is_ping() && pings.fetch_add(1, Ordering::Relaxed) % 3 == 0
    });
    let _peer = node("2", &two, near, &[]);
    let args = ["--count", "30", "--wait", WAIT, "--exchange", "never"];
    let finished = check("1", &[&one], &args).finish_with_open_input();
    finished.expect_failure(3);
    let link = &json(&finished)["links"][0];
    assert!(codes(link).contains(&"ping-loss"), "{link}");
    let (sent, answered) = (link["pings_sent"].as_u64(), link["pings_answered"].as_u64());
    assert!(sent >= Some(30) && answered < sent && answered > Some(0), "{link}");
    assert!(link["loss_percent"].as_f64() > Some(5.0), "{link}");
}

#[test]
fn a_small_path_mtu_is_a_warning() {
    let headers = 28;
    let (_wire, [one, two], near) = wired(move |packet| packet.bytes.len() + headers > 1400);
    let _peer = node("2", &two, near, &[]);
    let finished = check("1", &[&one], &["--exchange", "never", "--count", "5", "--wait", "40"])
        .finish_with_open_input();
    finished.expect_success();
    let link = &json(&finished)["links"][0];
    assert!(link["path_mtu"].as_u64() <= Some(1400), "{link}");
    let narrow = &link["findings"][0];
    assert_eq!(narrow["severity"], "warning");
    assert!(narrow["text"].as_str().unwrap().contains("path MTU "), "{link}");
}

#[test]
fn a_plan_that_cannot_work_is_explained() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let foreign = format!("2:192.0.2.1:5001={}", silent.local_addr().unwrap());
    // Packets with a loopback source address never leave the machine.
    let unreachable = format!("2:{}=192.0.2.1:5001", free_address());
    for (plan, wrong) in [
        (foreign, "FAULT: 192.0.2.1 is not an address of this machine"),
        (unreachable, "FAULT: this machine has no route to 192.0.2.1: "),
    ] {
        let finished = table(&[&plan], "0.5");
        finished.expect_failure(3);
        let text = finished.text();
        assert!(text.contains(wrong), "{text}");
    }
}

#[test]
fn a_peer_with_another_id_is_reported() {
    let (near, far) = (free_address(), free_address());
    let _peer = node("7", &format!("1:{far}={near}"), near, &[]);
    let finished = table(&[&format!("2:{near}={far}")], WAIT);
    finished.expect_failure(3);
    let text = finished.text();
    assert!(text.contains("host ids that are not in the plan: is --id correct"), "{text}");
    assert!(text.contains(&format!("FAULT: {far} says that it is host 7")), "{text}");
}

/// Answers the first ping of a check with a ping from the address of its peer, and closes that port.
/// The change is made to the header of the packet, with the host id and the link id in it.
fn answered_once(change: impl Fn(&mut [u8])) -> Value {
    let (near, far) = (free_address(), free_address());
    let peer = UdpSocket::bind(far).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let checking = check("1", &[&format!("2:{near}={far}")], &["--wait", "2"]);
    let mut packet = [0; 2000];
    let (length, _) = peer.recv_from(&mut packet).unwrap();
    packet[2..4].copy_from_slice(&2_u16.to_be_bytes());
    change(&mut packet);
    peer.send_to(&packet[..length], near).unwrap();
    drop(peer);
    json(&checking.finish_with_open_input())["links"][0].take()
}

#[test]
fn what_was_heard_outweighs_a_port_that_is_closed_afterwards() {
    for (change, code) in [
        (&(|_: &mut [u8]| {}) as &dyn Fn(&mut [u8]), "one-way"),
        (&|packet| packet[3] = 9, "wrong-host-id"),
        (&|packet| packet[6] = 1, "wrong-link-id"),
    ] {
        let link = answered_once(change);
        assert_eq!(codes(&link), [code], "{link}");
    }
}

#[test]
fn a_peer_with_another_plan_that_starts_later_is_reported() {
    let (near, far) = (free_address(), free_address());
    let early = UdpSocket::bind(far).unwrap();
    early.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let checking = check("1", &[&format!("2:{near}={far}")], &["--wait", "4"]);
    early.recv(&mut [0; 2000]).unwrap();
    // From here on its pings are refused.
    drop(early);
    let _peer =
        start(&["cat", "--id", "9", "--wait", "3600", "--peer", &format!("1:{far}={near}")]);
    let link = json(&checking.finish_with_open_input())["links"][0].take();
    assert_eq!(codes(&link), ["wrong-host-id"], "{link}");
    let expected = format!("FAULT: {far} says that it is host 9");
    assert!(link["verdict"].as_str().unwrap().starts_with(&expected), "{link}");
}

#[test]
fn a_peer_on_another_port_is_reported() {
    let (near, far) = (free_address(), free_address());
    let elsewhere = free_port(far.ip());
    let _peer = node("2", &format!("1:{elsewhere}={near}"), near, &[]);
    let finished = check("1", &[&format!("2:{near}={far}")], &["--wait", "3"]);
    let link = json(&finished.finish_with_open_input())["links"][0].take();
    assert_eq!(codes(&link), ["wrong-port"], "{link}");
}

#[test]
fn two_machines_with_one_id_are_reported() {
    let (near, far) = (free_address(), free_address());
    let [one, two] = ends(near, far);
    let other = free_address();
    let listener = UdpSocket::bind(near).unwrap();
    let _nodes =
        [two, format!("1:{other}={near}")].map(|peer| node_heard_by(&listener, "2", &peer, &[]));
    while listener.recv_from(&mut [0; 2000]).unwrap().1 != other {}
    drop(listener);
    let finished = check("1", &[&one], &["--wait", "40"]).finish_with_open_input();
    finished.expect_success();
    let link = json(&finished)["links"][0].clone();
    assert!(codes(&link).contains(&"two-addresses"), "{link}");
    let text = link["findings"].to_string();
    assert!(text.contains(&format!("host 2 sends from {other} too")), "{text}");
}

#[test]
fn a_peer_at_another_address_is_reported() {
    let (near, planned) = (free_address(), free_address());
    let real = free_address();
    let _peer = node("2", &format!("1:{real}={near}"), near, &[]);
    let peer = format!("2:{near}={planned}");
    let finished = check("1", &[&peer], &["--wait", WAIT]).finish_with_open_input();
    let found = json(&finished)["links"][0].clone();
    assert_eq!(codes(&found), ["wrong-address"], "{found}");
}

#[test]
fn a_check_that_is_done_stays_for_its_peer() {
    let (one, two) = (free_address(), free_address());
    let listener = UdpSocket::bind(one).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let plans = ends(one, two);
    let more = ["--exchange", "never", "--wait", "20", "--count"];
    let second = check("2", &[&plans[1]], &[&more[..], &["25"]].concat());
    listener.recv(&mut [0; 2000]).unwrap();
    drop(listener);
    let first = check("1", &[&plans[0]], &[&more[..], &["1"]].concat());
    for finished in [first, second].map(Running::finish_with_open_input) {
        finished.expect_success();
    }
}

#[test]
fn invalid_messages_on_its_channel_are_ignored() {
    let (near, far) = (free_address(), free_address());
    let [one, two] = ends(near, far);
    let mut peer = node("2", &two, near, &["--channel", "31", "--lines", "-v"]);
    let more = ["--exchange", "always", "--count", "5", "--wait", WAIT];
    let checking = check("1", &[&one], &more);
    peer.wait_for_error("host 1 is reachable");
    for line in ["good morning", "{}", r#"{"knet_check":1,"from":2,"to":1,"links":[[]]}"#] {
        peer.feed(format!("{line}\n").as_bytes());
    }
    peer.feed(&[b'[', b'\n'].repeat(1000));
    let finished = checking.finish_with_open_input();
    finished.expect_failure(3);
    assert_eq!(codes(&json(&finished)["links"][0]), ["no-report-from-peer"]);
}

#[test]
fn an_address_in_use_is_a_failure_and_a_signal_ends_the_check() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let address = silent.local_addr().unwrap();
    let finished = table(&[&format!("2:{address}={}", free_address())], "1");
    assert!(finished.expect_failure(1).contains("in use"), "{}", finished.stderr);

    let checking = check("1", &[&format!("2:{}={address}", free_address())], &["--wait", "3600"]);
    // It is running once it pings.
    silent.recv(&mut [0; 2000]).unwrap();
    checking.signal(Signal::SIGINT);
    let finished = checking.finish_with_open_input();
    assert!(finished.expect_end_by(Signal::SIGINT).contains("interrupted"), "{}", finished.stderr);
}
