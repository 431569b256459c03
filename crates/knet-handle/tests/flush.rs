//! Switching forwarding off sends what was written before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use knet_handle::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, FilterMessage, Handle, HostId,
    LinkConfig, LinkId, PingTimers, Verdict,
};

/// A handle that sends to itself.
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
fn however_many_messages_wait_all_of_them_are_sent() {
    until("all of them are sent", all_that_waits_is_sent);
}

/// Whether it was; not if this machine took so long that the filter was not waited for any longer.
fn all_that_waits_is_sent() -> bool {
    let handle = handle();
    let _ = handle.datafd_events();
    let channel = Channel::ALL[0];
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(channel)).unwrap();
    // The first message holds the others up.
    let (gate, first) = (Arc::new(Barrier::new(2)), AtomicBool::new(true));
    let at_filter = gate.clone();
    let filter = move |_: &mut FilterMessage<'_>| {
        if first.swap(false, Ordering::Relaxed) {
            at_filter.wait();
        }
        Verdict::Broadcast
    };
    handle.set_filter(filter).unwrap();
    let mut written = 0;
    while knet_fd::send(&datafd, b"x").unwrap() == (knet_fd::Sent::Sent { len: 1 }) {
        written += 1;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            give_a_head_start();
            gate.wait()
        });
        handle.set_forwarding(false).unwrap();
    });
    let stats = handle.channel_stats(channel);
    (stats.tx_messages, stats.tx_forwarding_off) == (written, 0)
}

/// Sharpens a test that is right without it: gives other threads time to get where they go.
fn give_a_head_start() {
    (0..1000).for_each(|_| thread::yield_now());
}

#[test]
fn an_order_to_flush_that_comes_during_a_flush_is_not_forgotten() {
    until("two orders came, one during the other", one_order_comes_during_another);
}

/// Whether that was so, both times; not if this machine took so long that the filter was not waited for
/// any longer. An order that is forgotten is waited for without end.
fn one_order_comes_during_another() -> bool {
    let handle = handle();
    let _ = handle.datafd_events();
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    let (arrived, arrivals) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let filter = move |message: &mut FilterMessage<'_>| {
        if message.direction() == Direction::Tx {
            arrived.send(()).unwrap();
            let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
        }
        Verdict::Broadcast
    };
    handle.set_filter(filter).unwrap();
    let (done, over) = mpsc::channel();
    let switch_off = || {
        let (handle, done) = (handle.clone(), done.clone());
        thread::spawn(move || done.send(handle.set_forwarding(false)).unwrap());
        give_a_head_start();
    };

    for _ in 0..2 {
        let _ = knet_fd::send(&datafd, b"x").unwrap();
        arrivals.recv_timeout(DEADLINE).unwrap();
        // The first order comes before the second message is read, so that is read for it; the
        // second order comes meanwhile.
        switch_off();
        let _ = knet_fd::send(&datafd, b"y").unwrap();
        open.send(()).unwrap();
        let mut second = false;
        until("the second message came", || {
            second = arrivals.try_recv().is_ok();
            second || !handle.forwarding()
        });
        if !second {
            return false;
        }
        switch_off();
        open.send(()).unwrap();
        for _ in 0..2 {
            over.recv_timeout(DEADLINE).expect("an order was forgotten").unwrap();
        }
        handle.set_forwarding(true).unwrap();
    }
    true
}

/// A handle with a filter that stops at each message in this direction until `open` is dropped, and
/// tells when it does.
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

/// Switches forwarding off while the filter does not come back.
fn switch_off(handle: &Handle) {
    let (done, over) = mpsc::channel();
    let to_switch = handle.clone();
    thread::spawn(move || done.send(to_switch.set_forwarding(false)).unwrap());
    over.recv_timeout(DEADLINE).expect("the filter is waited for").unwrap();
    assert!(!handle.forwarding());
}

#[test]
fn a_filter_that_does_not_come_back_does_not_keep_forwarding_on_when_sending() {
    let (handle, datafd, arrivals, open) = with_gate(Direction::Tx);
    let _ = knet_fd::send(&datafd, b"being asked about").unwrap();
    arrivals.recv_timeout(DEADLINE).unwrap();
    for _ in 0..200 {
        assert_eq!(knet_fd::send(&datafd, b"waits").unwrap(), knet_fd::Sent::Sent { len: 5 });
    }
    switch_off(&handle);
    drop(open);
    let stats = || handle.channel_stats(Channel::ALL[0]);
    until("what was left is counted", || stats().tx_forwarding_off == 200);
    assert_eq!(stats().tx_messages, 1);
}

#[test]
fn a_filter_that_does_not_come_back_does_not_keep_forwarding_on_when_delivering() {
    let (handle, datafd, arrivals, open) = with_gate(Direction::Rx);
    datafd.send(b"being asked about").unwrap();
    arrivals.recv_timeout(DEADLINE).unwrap();
    (0..200).for_each(|_| assert_eq!(datafd.send(b"waits").unwrap().hosts, 1));
    switch_off(&handle);
    drop(open);
    let stats = || handle.channel_stats(Channel::ALL[0]);
    until("what was left is counted", || stats().rx_forwarding_off == 200);
    assert_eq!(stats().rx_messages, 1);
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        thread::yield_now();
    }
}

const DEADLINE: Duration = Duration::from_secs(60);
