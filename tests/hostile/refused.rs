//! Malformed and forged packets, one by one.

use std::net::Ipv4Addr;

use kronosnet::DropStats;

use crate::attacker::{Attacker, DATA, PING, PONG, PROBE, REPLY, data, header, ping, pmtu};
use crate::victim::Victim;

type Counter = fn(&DropStats) -> u64;

/// All counters, to check that each packet is counted once and by one of them.
const COUNTERS: [(&str, Counter); 13] = [
    ("malformed", |drops| drops.malformed),
    ("unknown_host", |drops| drops.unknown_host),
    ("unknown_link", |drops| drops.unknown_link),
    ("wrong_source", |drops| drops.wrong_source),
    ("access_list", |drops| drops.access_list),
    ("invalid_link", |drops| drops.invalid_link),
    ("not_reachable", |drops| drops.not_reachable),
    ("late", |drops| drops.late),
    ("duplicate", |drops| drops.duplicate),
    ("bad_fragment", |drops| drops.bad_fragment),
    ("compressed", |drops| drops.compressed),
    ("forged_pong", |drops| drops.forged_pong),
    ("unexpected", |drops| drops.unexpected),
];

/// Returns `packet` with another byte at this position.
fn with(mut packet: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    packet[at] = byte;
    packet
}

/// Sends each packet, and checks which counter has grown.
fn are_counted(attacker: &Attacker, victim: &mut Victim, packets: Vec<(&str, Vec<u8>, &str)>) {
    for (what, packet, expected) in packets {
        let before = victim.drops();
        attacker.send(victim.addr(), &packet);
        victim.hear_from_friend();
        let after = victim.drops();
        let grown = COUNTERS.iter().filter(|(_, count)| count(&after) != count(&before));
        let grown: Vec<_> =
            grown.map(|(name, count)| (*name, count(&after) - count(&before))).collect();
        assert_eq!(grown, [(expected, 1)], "{what}");
    }
    assert!(attacker.got_no_answer());
    assert_eq!(victim.heard(), [], "no message was delivered");
    victim.is_well();
}

#[test]
fn the_negative_vectors_of_the_wire_format() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    let whole = || data(2, 9, 1, 0, b"hello, kronosnet");
    let part = |count, index| data(2, 9, count, index, &[b'x'; 74]);
    let ping = |link| ping(PING, 2, link, 7);
    are_counted(
        &attacker,
        &mut victim,
        vec![
            ("another version", with(ping(0), 0, 2), "malformed"),
            ("no version", with(whole(), 0, 0), "malformed"),
            ("an unknown host", with(ping(0), 3, 99), "unknown_host"),
            ("data of an unknown host", with(whole(), 2, 0xff), "unknown_host"),
            ("a ping for link 1, which is not configured", ping(1), "unknown_link"),
            ("a ping for link 7, which is not configured", ping(7), "unknown_link"),
            ("a ping for link 8, which libknet takes for 0", ping(8), "invalid_link"),
            ("a ping for link 255", ping(255), "invalid_link"),
            ("a probe for link 1", pmtu(PROBE, 2, 1), "unknown_link"),
            ("a probe for link 8", pmtu(PROBE, 2, 8), "invalid_link"),
            ("the first 7 bytes of a ping", ping(0)[..7].to_vec(), "malformed"),
            ("a ping that lacks a byte", ping(0)[..25].to_vec(), "malformed"),
            ("a probe that lacks a byte", pmtu(PROBE, 2, 0)[..8].to_vec(), "malformed"),
            ("a byte", vec![1], "malformed"),
            ("data without a payload", whole()[..14].to_vec(), "malformed"),
            ("half a data header", whole()[..10].to_vec(), "malformed"),
            ("an unknown type", header(0x85, 2), "malformed"),
            ("another unknown type", with(whole(), 1, 1), "malformed"),
            ("fragment 0 of 3", part(3, 0), "malformed"),
            ("fragment 4 of 3", part(3, 4), "malformed"),
            ("a message of 255 fragments", part(255, 1), "malformed"),
            ("channel 32", with(whole(), 13, 32), "malformed"),
            ("channel -1", with(whole(), 13, 255), "malformed"),
            ("an unknown compression", with(whole(), 8, 8), "malformed"),
            ("a pong without a ping", super::attacker::ping(PONG, 2, 0, 7), "forged_pong"),
            ("a reply from another port", pmtu(REPLY, 2, 0), "wrong_source"),
        ],
    );
}

/// Sends packets for links of a host that has another address (CVE-2026-15812).
#[test]
fn packets_in_the_name_of_a_host_with_another_address() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::new(127, 0, 0, 66)));
    are_counted(
        &attacker,
        &mut victim,
        vec![
            ("a ping", ping(PING, 2, 0, 7), "wrong_source"),
            ("a pong", ping(PONG, 2, 0, 7), "wrong_source"),
            ("a probe", pmtu(PROBE, 2, 0), "wrong_source"),
            ("a reply", pmtu(REPLY, 2, 0), "wrong_source"),
            ("data", data(2, 9, 1, 0, b"mine"), "wrong_source"),
            ("a part of data", data(2, 9, 2, 1, b"mine"), "wrong_source"),
            ("a ping for another link", ping(PING, 2, 3, 7), "unknown_link"),
            ("data of the victim itself", with(data(2, 9, 1, 0, b"x"), 3, 1), "unknown_host"),
            ("an unknown type", with(ping(PING, 2, 0, 7), 1, DATA | 0x80), "malformed"),
        ],
    );
}

#[test]
fn data_of_a_host_that_never_answered_a_ping() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    let stranger = Attacker::on(Ipv4Addr::LOCALHOST);
    let host = victim.handle.add_host(kronosnet::HostId::new(3)).unwrap();
    let config = kronosnet::LinkConfig::udp(victim.addr(), stranger.addr());
    host.add_link(knet_tests::cluster::link_id(0), config).unwrap();
    are_counted(
        &attacker,
        &mut victim,
        vec![
            ("a message", data(3, 1, 1, 0, b"let me in"), "not_reachable"),
            ("a part of one", data(3, 1, 2, 1, b"let me in"), "not_reachable"),
        ],
    );
    assert!(!host.is_reachable().unwrap());
}

/// Forges the source of packets. A ping is answered with as many bytes, a probe with nine, and
/// always at the configured address of the link, so that nothing is amplified.
#[test]
fn forged_packets_are_not_amplified() {
    let (victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    victim.trust(&attacker);
    attacker.send(victim.addr(), &ping(PING, 3, 0, 42));
    let pong = std::iter::repeat_with(|| attacker.receive()).find(|packet| packet[1] == PONG);
    assert_eq!(pong.unwrap(), with(ping(PONG, 1, 0, 42), 3, 1));
    let probe = [&pmtu(PROBE, 3, 0)[..], &[0; 60_000]].concat();
    attacker.send(victim.addr(), &probe);
    let reply = std::iter::repeat_with(|| attacker.receive()).find(|packet| packet[1] == REPLY);
    assert_eq!(reply.unwrap(), pmtu(REPLY, 1, 0));
}
