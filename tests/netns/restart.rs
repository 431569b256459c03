//! A peer's process that is killed and started again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::message;
use knet_tests::lan::{Family, Lan, address};
use knet_tests::wait::{DEADLINE, is_readable, next, readable_within, receive, until};
use kronosnet::{DownReason, LinkState, PingTimers};
use nix::libc::ECONNREFUSED;

use crate::member::Member;
use crate::peer_process::PeerProcess;

/// Timers so long that only a report of the kernel takes a link down in time.
const TIMERS: PingTimers = PingTimers {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(600),
    precision: 64,
};

/// Messages to a peer that echoes them.
struct Echoes<'a> {
    member: &'a Member,
    /// The length of each.
    length: usize,
    sent: usize,
    came_back: BTreeSet<usize>,
}

impl<'a> Echoes<'a> {
    fn new(member: &'a Member, length: usize) -> Self {
        Self { member, length, sent: 0, came_back: BTreeSet::new() }
    }

    /// Sends a message, and receives echoes until its own arrives or the timeout expires.
    fn send(&mut self, timeout: Duration) -> bool {
        let number = self.sent;
        self.sent += 1;
        // Until the link is up, sending fails.
        let _ = self.member.datafd.send(&message(self.length, number));
        while readable_within(&self.member.datafd, timeout) {
            self.receive_echoes();
            if self.came_back.contains(&number) {
                return true;
            }
        }
        false
    }

    fn receive_echoes(&mut self) {
        let received = receive(&self.member.datafd);
        let number = usize::from_le_bytes(received[..8].try_into().unwrap());
        assert!(received == message(self.length, number), "{number} came back damaged");
        assert!(self.came_back.insert(number), "{number} came back twice");
    }

    /// Checks that messages flow: the first echo is followed by many more.
    fn flow(&mut self) {
        let give_up = Instant::now() + DEADLINE;
        while !self.send(Duration::from_millis(100)) {
            assert!(Instant::now() < give_up, "nothing comes back");
        }
        for _ in 0..200 {
            assert!(self.send(DEADLINE), "{} of {} came back", self.came_back.len(), self.sent);
        }
    }
}

/// Kills the peer and starts it again, a few times.
fn kill_and_restart(family: Family) {
    let lan = Lan::new(2, 1);
    let member = Member::new(1);
    let mut echoes = Echoes::new(&member, 2000);
    let mut peer = PeerProcess::start(lan.host(2), family, TIMERS);
    let ends = (address(family, 1, 0), address(family, 2, 0));
    member.connect(lan.host(1), (2, 0), ends, TIMERS);
    for round in 0..ROUNDS {
        if round > 0 {
            peer = PeerProcess::start(lan.host(2), family, TIMERS);
        }
        assert_eq!(next(&member.link_events).state, LinkState::Up);
        assert!(next(&member.host_events).reachable);
        echoes.flow();

        if round % 2 == 0 {
            peer.kill();
        } else {
            kill_under_traffic(&mut peer, &mut echoes);
        }
        // Long before its timeout: the next ping is refused, and those after it are not answered.
        let refused = LinkState::Down(DownReason::TransportError { errno: ECONNREFUSED });
        assert_eq!(next(&member.link_events).state, refused);
        assert!(!next(&member.host_events).reachable);
    }
    while is_readable(&member.datafd) {
        echoes.receive_echoes();
    }
}

/// The number of restarts.
const ROUNDS: usize = 4;

/// Kills the peer while messages are in transit.
fn kill_under_traffic(peer: &mut PeerProcess, echoes: &mut Echoes<'_>) {
    thread::scope(|scope| {
        let killed = scope.spawn(|| peer.kill());
        while !killed.is_finished() {
            echoes.send(Duration::from_millis(1));
        }
    });
}

#[test]
fn a_killed_peer_is_down_with_the_next_ping_and_comes_back() {
    kill_and_restart(Family::V4);
}

#[test]
fn a_killed_ipv6_peer_is_down_with_the_next_ping_and_comes_back() {
    kill_and_restart(Family::V6);
}

/// Starts a peer again and again, each time after so few messages, and checks that every message of
/// every process arrives.
fn restart_in_the_first_second(family: Family) {
    let timers = PingTimers { interval: Duration::from_millis(500), ..TIMERS };
    let lan = Lan::new(2, 1);
    let member = Member::new(1);
    // Each in one packet, so that the peer's packets are its messages.
    let mut echoes = Echoes::new(&member, 100);
    let ends = (address(family, 1, 0), address(family, 2, 0));
    member.connect(lan.host(1), (2, 0), ends, timers);
    for messages in [1, 2, 5, 20, 100, 300, 1, 1] {
        // Its timed pings have number 0 until the next interval.
        let mut peer = PeerProcess::start(lan.host(2), family, timers);
        let before = echoes.came_back.len();
        let give_up = Instant::now() + DEADLINE;
        while !echoes.send(Duration::from_millis(20)) {
            assert!(Instant::now() < give_up, "nothing comes back");
        }
        while echoes.came_back.len() < before + messages {
            assert!(echoes.send(DEADLINE), "{} of {messages}", echoes.came_back.len() - before);
        }
        // A message may be here before the peer has counted it.
        until("all of its messages arrive", || {
            while is_readable(&member.datafd) {
                echoes.receive_echoes();
            }
            (echoes.came_back.len() - before) as u64 == peer.report().data_packets
        });
        peer.kill();
    }
}

#[test]
fn a_peer_that_is_restarted_in_its_first_second_loses_no_message() {
    restart_in_the_first_second(Family::V4);
}

#[test]
fn an_ipv6_peer_that_is_restarted_in_its_first_second_loses_no_message() {
    restart_in_the_first_second(Family::V6);
}
