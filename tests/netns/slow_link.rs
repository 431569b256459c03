//! Bulk data over slow links with the default ping timers: the data must not hold up the pings.

use std::mem;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use knet_fd::Sent;
use knet_tests::cluster::{channel, message};
use knet_tests::lan::{Family, Lan};
use knet_tests::network::run;
use knet_tests::skip::skip;
use knet_tests::wait::{DEADLINE, readable_within, until, writable};
use kronosnet::{Datafd, PingTimers};

use crate::member::{Member, members};

/// Two hosts with one link. The interface of host 1 has a queue that takes everything, as that of a slow line
/// does, and this rate.
fn slow(rate: &str) -> (Lan, Vec<Member>) {
    let lan = Lan::new(2, 1);
    let members = members(&lan, 1, Family::V4, PingTimers::default());
    tc(
        &lan,
        &format!("qdisc add dev eth0 root handle 1: tbf rate {rate} burst 5000 limit 1000000000"),
    );
    (lan, members)
}

fn tc(lan: &Lan, arguments: &str) {
    let done = lan.host(1).enter(|| run(Command::new("tc").args(arguments.split(' '))));
    assert_eq!(done, Ok(()), "tc {arguments}");
}

/// Writes messages to a datafd as fast as it takes them.
fn write_all(datafd: &Datafd, messages: usize, length: usize) {
    let mut message = message(length, 0);
    for number in 0..messages {
        message[..8].copy_from_slice(&number.to_le_bytes());
        while knet_fd::send(datafd, &message).unwrap() == Sent::WouldBlock {
            writable(datafd.as_fd());
        }
    }
}

/// Sends more than the socket of the link could hold, or as much as takes seconds, and checks that nothing is
/// lost and the link stays up.
fn bulk(rate: &str, messages: usize, length: usize) {
    let (_lan, members) = slow(rate);
    let [one, two] = members.as_slice() else { panic!("two members") };
    thread::scope(|scope| {
        scope.spawn(|| write_all(&one.datafd, messages, length));
        // Fast enough for its datafd never to be full. The order is not checked: a veth pair queues packets
        // per CPU, and the qdisc sends them from the CPU of its timer or of the sender.
        let mut buffer = vec![0; length];
        let mut has_arrived = vec![false; messages];
        for count in 0..messages {
            let stats = || (count, one.handle.channel_stats(channel(0)));
            assert!(readable_within(&two.datafd, DEADLINE), "lost: {:?}", stats());
            assert_eq!(two.datafd.recv(&mut buffer).unwrap(), length);
            let number = usize::from_le_bytes(buffer[..8].try_into().unwrap());
            assert!(!mem::replace(&mut has_arrived[number], true), "{number} arrived twice");
        }
    });
    for (member, peer) in [(one, 2), (two, 1)] {
        let stats = member.link(peer, 0).status().unwrap().stats;
        assert_eq!((stats.down_count, stats.tx_ping_errors, stats.tx_pong_errors), (0, 0, 0));
    }
    // A message is counted after it has left.
    let stats = || one.handle.channel_stats(channel(0));
    until("all messages are counted", || stats().tx_messages == messages as u64);
}

#[test]
fn bulk_data_does_not_take_a_link_of_5_mbit_down() {
    bulk("5mbit", 8_000, 1_000);
}

#[test]
fn bulk_data_does_not_take_a_link_of_20_mbit_down() {
    bulk("20mbit", 20_000, 1_400);
}

#[test]
fn bulk_data_does_not_take_a_link_of_50_mbit_down() {
    bulk("50mbit", 45_000, 1_400);
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// The data takes longer than a ping may: they share a queue that knows priorities.
#[test]
fn a_priority_queue_lets_pings_overtake_data() {
    if kernel() < (6, 14) {
        return skip("needs Linux 6.14, which accepts a priority per packet");
    }
    let (lan, members) = slow("50kbit");
    tc(&lan, "qdisc add dev eth0 parent 1:1 handle 2: pfifo_fast");
    let [one, two] = members.as_slice() else { panic!("two members") };
    write_all(&one.datafd, 300, 1_400);
    let stats = || one.link(2, 0).status().unwrap().stats;
    until("data is in the queue", || stats().tx_data_packets > 20);
    let before = stats().rx_pong_packets;
    until("pings are answered", || stats().rx_pong_packets >= before + 5);
    assert_eq!(stats().down_count, 0);
    let arrived = two.handle.channel_stats(channel(0)).rx_messages;
    assert!(arrived < stats().tx_data_packets, "the queue is empty");
}
