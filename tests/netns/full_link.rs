//! A link that takes no more packets: its socket is full, because what is behind it stands still.

use std::process::Command;
use std::thread;
use std::time::Duration;

use knet_fd::Sent;
use knet_tests::cluster::{QUICK, exactly, message, stats};
use knet_tests::lan::{Family, Lan, address};
use knet_tests::network::run;
use knet_tests::waiting::{is_readable, receive, until};
use kronosnet::{Datafd, DatafdSource, Direction, Handle, HostId, LinkStats, PingTimers, Verdict};

use crate::member::Member;

/// Pings that do not get through are no reason to take a link down here.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(600), ..QUICK };
/// Longer than any test takes: whoever waits for room in the full link waits for ever.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// Fills a socket's buffer of 8 MiB soon.
const LONG: usize = 60_000;

/// Host 1 with links to hosts 2 and 3 by different interfaces: its messages on channel 0 go to host 2, of
/// which the interface has just been throttled, and those on channel 1 to host 3.
struct Fork {
    lan: Lan,
    sender: Member,
    to_third: Datafd,
    second: Member,
    third: Datafd,
    _third: Member,
}

impl Fork {
    fn new(wait_for_room: Duration) -> Self {
        let lan = Lan::new(3, 2);
        let builder = Handle::builder(HostId::new(1)).wait_for_room(wait_for_room);
        let sender = Member::with(builder.build().unwrap());
        let (second, third) = (Member::new(2), Member::new(3));
        for (peer, switch) in [(&second, 0), (&third, 1)] {
            let ends = [1, peer.id()].map(|host| address(Family::V4, host, switch));
            let [here, there] = ends;
            sender.connect(lan.host(1), (peer.id(), 0), (here, there), PATIENT);
            peer.connect(lan.host(peer.id()), (1, 0), (there, here), PATIENT);
            peer.wait_for_first(1, 1);
        }
        sender.wait_for_first(2, 2);
        let filter = |message: &mut kronosnet::FilterMessage<'_>| {
            if message.direction() == Direction::Rx {
                return Verdict::Broadcast;
            }
            let host = if message.channel() == 0 { 2 } else { 3 };
            message.send_to(HostId::new(host));
            Verdict::Listed
        };
        sender.handle.set_filter(filter).unwrap();
        let [to_third, at_third] = [&sender, &third]
            .map(|member| member.handle.add_datafd(DatafdSource::Create, exactly(1)).unwrap());
        let fork = Self { lan, sender, to_third, second, third: at_third, _third: third };
        fork.shape("add", "8kbit");
        fork
    }

    /// How much the interface towards host 2 lets through; what waits behind it stays.
    fn shape(&self, what: &str, rate: &str) {
        let shape =
            format!("qdisc {what} dev eth0 root tbf rate {rate} burst 5000 limit 1000000000");
        let shaped = self.lan.host(1).enter(|| run(Command::new("tc").args(shape.split(' '))));
        assert_eq!(shaped, Ok(()));
    }

    fn let_go(&self) {
        self.shape("change", "1gbit");
    }

    fn full_link(&self) -> LinkStats {
        self.sender.link(2, 0).status().unwrap().stats
    }

    /// Writes messages for host 2 until they have to wait; how many.
    fn fill(&self) -> usize {
        let mut written = 0;
        until("the socket is full", || {
            let sent = knet_fd::send(&self.sender.datafd, &message(LONG, written)).unwrap();
            written += usize::from(sent != Sent::WouldBlock);
            self.full_link().tx_data_retries > 0
        });
        written
    }

    /// Checks that messages pass from host 1 to host 3.
    fn the_other_way_is_free(&self, through_datafd: bool) {
        for number in 0..500 {
            let message = message(1000, number);
            if through_datafd {
                nix::unistd::write(&self.to_third, &message).unwrap();
            } else {
                assert_eq!(self.to_third.send(&message).unwrap().hosts, 1);
            }
            assert!(receive(&self.third) == message, "message {number} changed");
        }
        let downs = self.sender.link(3, 0).status().unwrap().stats.down_count;
        assert_eq!(downs, 0);
    }
}

#[test]
fn other_channels_and_hosts_go_on_while_a_link_is_full() {
    let fork = Fork::new(FOR_EVER);
    let written = fork.fill();
    until("a ping waits too", || fork.full_link().tx_ping_retries > 0);
    fork.the_other_way_is_free(true);
    fork.the_other_way_is_free(false);

    let stopped = stats(&fork.sender.handle, 0);
    assert!(stopped.tx_messages < written as u64, "all of {written} messages have left");
    fork.let_go();
    until("what waited leaves", || {
        let stats = stats(&fork.sender.handle, 0);
        assert_eq!((stats.tx_queue_full, stats.tx_not_sent, stats.tx_no_destination), (0, 0, 0));
        stats.tx_messages == written as u64
    });
    assert!(receive(&fork.second.datafd) == message(LONG, 0));
}

#[test]
fn a_send_that_waits_for_room_holds_up_nobody_else() {
    let fork = Fork::new(FOR_EVER);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0.. {
                assert_eq!(fork.sender.datafd.send(&message(LONG, number)).unwrap().hosts, 1);
                if fork.full_link().tx_data_retries > 0 {
                    break;
                }
            }
        });
        until("the socket is full", || fork.full_link().tx_data_retries > 0);
        fork.the_other_way_is_free(true);
        fork.the_other_way_is_free(false);
        assert!(!sending.is_finished(), "it waits for room");
        fork.let_go();
        sending.join().unwrap();
    });
    assert!(receive(&fork.second.datafd) == message(LONG, 0));
}

#[test]
fn a_link_that_stays_full_is_given_up_until_it_takes_packets_again() {
    let fork = Fork::new(Duration::from_millis(50));
    let mut written = fork.fill();
    let mut full = || {
        let _ = knet_fd::send(&fork.sender.datafd, &message(LONG, written)).unwrap();
        written += 1;
        stats(&fork.sender.handle, 0).tx_queue_full > 0
    };
    until("messages are given up", &mut full);
    fork.the_other_way_is_free(true);
    fork.let_go();
    let again = b"there is room again";
    let sender = &fork.sender.datafd;
    until("a message gets through", || {
        // Refused as long as the socket is full.
        let _ = knet_fd::send(sender, again).unwrap();
        is_readable(&fork.second.datafd) && receive(&fork.second.datafd) == again
    });
}
