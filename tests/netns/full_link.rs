//! Backpressure of a link: it is full, because the interface behind it transmits next to nothing.

use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use knet_fd::Sent;
use knet_tests::cluster::{QUICK, channel, exactly, message};
use knet_tests::lan::{Family, Lan, address};
use knet_tests::network::run;
use knet_tests::wait::{is_readable, receive, until};
use kronosnet::{
    ChannelStats, Datafd, DatafdSource, Direction, Error, FilterMessage, Handle, HostId, LinkStats,
    NotSent, PingTimers, Verdict,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::member::Member;

/// Keeps links up although no ping gets through.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(600), ..QUICK };
/// Longer than any test takes: a send that waits for room in the full link never gives up.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// A length that fills a link quickly.
const LONG: usize = 60_000;

/// Host 1, with links to hosts 2 and 3 over different interfaces. Messages on channel 0 go to host
/// 2, whose interface is throttled, and those on channel 1 to host 3.
struct Fork {
    lan: Lan,
    sender: Member,
    to_third: Datafd,
    second: Member,
    third: Datafd,
    _third: Member,
}

impl Fork {
    fn new(send_timeout: Duration) -> Self {
        let lan = Lan::new(3, 2);
        let builder = Handle::builder(HostId::new(1)).send_timeout(send_timeout);
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
        let filter = |message: &mut FilterMessage<'_>| {
            if message.direction() == Direction::Rx {
                return Verdict::Broadcast;
            }
            let host = if message.channel() == 0 { 2 } else { 3 };
            message.add_destination(HostId::new(host));
            Verdict::Destinations
        };
        sender.handle.set_filter(filter).unwrap();
        let [to_third, at_third] = [&sender, &third]
            .map(|member| member.handle.add_datafd(DatafdSource::Create, exactly(1)).unwrap());
        let fork = Self { lan, sender, to_third, second, third: at_third, _third: third };
        fork.shape("add", "8kbit");
        fork
    }

    /// Sets the rate of the interface towards host 2; packets that exceed it stay queued.
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

    /// Writes messages for host 2 until they block, and returns how many.
    fn fill(&self) -> usize {
        let mut written = 0;
        until("the socket is full", || {
            let sent = knet_fd::send(&self.sender.datafd, &message(LONG, written)).unwrap();
            written += usize::from(sent != Sent::WouldBlock);
            self.full_link().tx_data_retries > 0
        });
        written
    }

    /// Waits until host 2 receives a message whole. It may be any of them: some may have expired
    /// after a part had been sent.
    fn a_message_arrives_whole(&self) {
        let arrived = receive(&self.second.datafd);
        assert!((0..1000).any(|number| arrived == message(LONG, number)));
    }

    /// Checks that messages pass from host 1 to host 3.
    fn the_other_way_is_free(&self, through_datafd: bool) {
        // More than the receiver's window of duplicates: blocked messages get new numbers.
        for number in 0..5000 {
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
fn a_full_link_does_not_block_other_channels_and_hosts() {
    let fork = Fork::new(FOR_EVER);
    let mut written = fork.fill();
    let mut write = || {
        let sent = knet_fd::send(&fork.sender.datafd, &message(LONG, written)).unwrap();
        written += usize::from(sent != Sent::WouldBlock);
        sent == Sent::WouldBlock
    };
    until("the datafd is full, as it is not read", &mut write);
    let pings = fork.full_link().tx_ping_packets;
    until("pings leave all the same", || fork.full_link().tx_ping_packets > pings + 3);
    fork.the_other_way_is_free(true);
    fork.the_other_way_is_free(false);
    assert!(write(), "the datafd is read although its messages are blocked");

    fork.let_go();
    until("the blocked messages are sent", || {
        let stats = stats(&fork.sender.handle, 0);
        assert_eq!(stats.tx_queue_full, 0, "{stats:?}");
        stats.tx_messages == written as u64
    });
    fork.a_message_arrives_whole();
}

#[test]
fn a_blocked_send_delays_nothing_else() {
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
        assert!(!sending.is_finished(), "it is blocked");
        fork.let_go();
        sending.join().unwrap();
    });
    fork.a_message_arrives_whole();
}

#[test]
fn channels_that_share_a_slow_link_take_turns_and_lose_nothing() {
    let fork = Fork::new(Duration::from_secs(60));
    fork.shape("change", "20mbit");
    let more = [2, 3, 4].map(|number| {
        fork.sender.handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap()
    });
    let sent = |number| stats(&fork.sender.handle, number).tx_messages;
    fork.sender.handle.set_filter(to_second).unwrap();
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        for datafd in [&fork.sender.datafd, &more[0], &more[1], &more[2]] {
            scope.spawn(move || {
                let message = message(1400, 0);
                while !done.load(Ordering::Relaxed) {
                    if knet_fd::send(datafd, &message).unwrap() == Sent::WouldBlock {
                        let mut fds = [PollFd::new(datafd.as_fd(), PollFlags::POLLOUT)];
                        poll(&mut fds, PollTimeout::from(10_u8)).unwrap();
                    }
                }
            });
        }
        until("the socket is full", || fork.full_link().tx_data_retries > 0);
        let before = [0, 2, 3, 4].map(sent);
        until("each channel has had a turn", || {
            [0, 2, 3, 4].map(sent).iter().zip(before).all(|(now, before)| *now >= before + 200)
        });
        done.store(true, Ordering::Relaxed);
    });
    for number in [0, 2, 3, 4] {
        assert_eq!(stats(&fork.sender.handle, number).tx_queue_full, 0, "channel {number}");
    }
    assert_eq!(fork.full_link().down_count, 0);
}

fn stats(handle: &Handle, number: u8) -> ChannelStats {
    handle.channel_stats(channel(number))
}

/// Sends everything to host 2, as a filter.
fn to_second(message: &mut FilterMessage<'_>) -> Verdict {
    if message.direction() == Direction::Rx {
        return Verdict::Broadcast;
    }
    message.add_destination(HostId::new(2));
    Verdict::Destinations
}

#[test]
fn the_successor_of_a_blocked_datafd_is_blocked_too() {
    let fork = Fork::new(FOR_EVER);
    fork.fill();
    let Member { handle, datafd, .. } = &fork.sender;
    handle.remove_datafd(datafd).unwrap();
    let successor = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
    let before = stats(handle, 0).tx_messages;
    nix::unistd::write(&successor, b"the first of the successor").unwrap();
    fork.the_other_way_is_free(true);
    assert_eq!(stats(handle, 0).tx_messages, before, "overtaken");
    fork.let_go();
    let next = b"the first of the successor";
    until("the message of the successor arrives", || {
        // The released packets may overflow a receiver that does not get to run.
        let _ = knet_fd::send(&successor, next).unwrap();
        is_readable(&fork.second.datafd) && receive(&fork.second.datafd) == next
    });
}

#[test]
fn a_disabled_link_blocks_nothing() {
    let fork = Fork::new(FOR_EVER);
    fork.fill();
    fork.sender.link(2, 0).disable().unwrap();
    until("blocked messages are dropped", || stats(&fork.sender.handle, 0).tx_no_destination > 0);
    until("its datafd is read again", || {
        let _ = knet_fd::send(&fork.sender.datafd, &message(LONG, 0)).unwrap();
        stats(&fork.sender.handle, 0).tx_no_destination > 300
    });
    fork.the_other_way_is_free(true);
}

#[test]
fn a_full_link_does_not_block_without_a_send_timeout() {
    let fork = Fork::new(Duration::ZERO);
    until("messages are dropped", || {
        let _ = knet_fd::send(&fork.sender.datafd, &message(LONG, 0)).unwrap();
        stats(&fork.sender.handle, 0).tx_queue_full > 0
    });
    until("a call of send fails too", || fork.sender.datafd.send(&message(LONG, 0)).is_err());
    assert_eq!(fork.full_link().tx_data_retries, 0);
}

#[test]
fn a_link_that_stays_full_is_not_waited_for_until_it_accepts_packets() {
    let fork = Fork::new(Duration::from_millis(50));
    // Pings are blocked too, more often than packets are retried.
    let interval = Duration::from_millis(3);
    fork.sender.link(2, 0).set_ping_timers(PingTimers { interval, ..PATIENT }).unwrap();
    let mut written = fork.fill();
    // The datafd's packets are blocked already, and this message behind them, until the timeout.
    let sent = fork.sender.datafd.send(&message(LONG, written));
    let Err(Error::NotSent { failures }) = sent else { panic!("{sent:?}") };
    let failures: Vec<_> = failures.iter().map(|failure| (failure.host, failure.reason)).collect();
    assert_eq!(failures, [(HostId::new(2), NotSent::QueueFull)]);
    let mut full = || {
        let _ = knet_fd::send(&fork.sender.datafd, &message(LONG, written)).unwrap();
        written += 1;
        stats(&fork.sender.handle, 0).tx_queue_full > 0
    };
    until("messages are dropped", &mut full);
    fork.the_other_way_is_free(true);
    fork.let_go();
    let again = b"there is room again";
    let sender = &fork.sender.datafd;
    until("a message gets through", || {
        // It fails as long as the socket is full.
        let _ = knet_fd::send(sender, again).unwrap();
        is_readable(&fork.second.datafd) && receive(&fork.second.datafd) == again
    });
}
