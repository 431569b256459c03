//! Turning forwarding off sends the messages that were written before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use knet_handle::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, FilterMessage, Handle, HostId,
    LinkConfig, LinkId, PingTimers, Verdict,
};

/// Creates a handle that sends to itself.
fn handle() -> Handle {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let here = handle.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let itself = handle.add_host(handle.host_id()).unwrap();
    let config = LinkConfig::udp(here.addr(), here.addr());
    let link = itself.add_link(LinkId::ALL[0], config).unwrap();
    let interval = Duration::from_millis(20);
    link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    itself.wait_until_reachable(DEADLINE).unwrap();
    handle.set_forwarding(true).unwrap();
    handle
}

#[test]
fn all_waiting_messages_are_sent_however_many_there_are() {
    let handle = handle();
    let _ = handle.datafd_events();
    let channel = Channel::ALL[0];
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(channel)).unwrap();
    let mut written = 0;
    while knet_fd::send(&datafd, b"x").unwrap() == (knet_fd::Sent::Sent { len: 1 }) {
        written += 1;
    }
    handle.set_forwarding(false).unwrap();
    let stats = handle.channel_stats(channel);
    assert_eq!((stats.tx_messages, stats.tx_forwarding_off), (written, 0));
}

/// Creates a handle with a filter that reports each message in this direction, and then blocks until the
/// returned sender is dropped.
fn with_gate(direction: Direction) -> (Handle, Datafd, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let handle = handle();
    let _ = handle.datafd_events();
    let channel = ChannelRequest::Exact(Channel::ALL[0]);
    let datafd = handle.add_datafd(DatafdSource::Create, channel).unwrap();
    let (arrived, arrivals) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let filter = move |message: &mut FilterMessage<'_>| {
        if message.direction() == direction {
            let _ = arrived.send(());
            let _ = gate.lock().unwrap().recv_timeout(2 * DEADLINE);
        }
        Verdict::Broadcast
    };
    handle.set_filter(filter).unwrap();
    (handle, datafd, arrivals, open)
}

/// Turns forwarding off while the filter blocks.
fn switch_off(handle: &Handle) {
    let (done, over) = mpsc::channel();
    let to_switch = handle.clone();
    thread::spawn(move || done.send(to_switch.set_forwarding(false)).unwrap());
    over.recv_timeout(DEADLINE).expect("the wait for the filter ends").unwrap();
    assert!(!handle.forwarding());
}

#[test]
fn a_filter_that_blocks_does_not_keep_forwarding_on_while_sending() {
    let (handle, datafd, arrivals, open) = with_gate(Direction::Tx);
    let _ = knet_fd::send(&datafd, b"in the filter").unwrap();
    arrivals.recv_timeout(DEADLINE).unwrap();
    for _ in 0..200 {
        assert_eq!(knet_fd::send(&datafd, b"waits").unwrap(), knet_fd::Sent::Sent { len: 5 });
    }
    switch_off(&handle);
    drop(open);
    let stats = || handle.channel_stats(Channel::ALL[0]);
    until("the rest is counted", || stats().tx_forwarding_off == 200);
    assert_eq!(stats().tx_messages, 1);
}

#[test]
fn a_filter_that_blocks_does_not_keep_forwarding_on_while_delivering() {
    let (handle, datafd, arrivals, open) = with_gate(Direction::Rx);
    datafd.send(b"in the filter").unwrap();
    arrivals.recv_timeout(DEADLINE).unwrap();
    (0..200).for_each(|_| assert_eq!(datafd.send(b"waits").unwrap().hosts, 1));
    switch_off(&handle);
    drop(open);
    let stats = || handle.channel_stats(Channel::ALL[0]);
    until("the rest is counted", || stats().rx_forwarding_off == 200);
    assert_eq!(stats().rx_messages, 1);
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

const DEADLINE: Duration = Duration::from_secs(60);
