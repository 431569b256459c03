//! Slow filters, and everything that must not wait for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use knet_tests::cluster::{
    Cluster, QUICK, exactly, flush, link_id, message, wait_until_reachable, wait_up, watch,
};
use knet_tests::wait::{DEADLINE, next_like, receive, until};
use kronosnet::{
    DatafdSource, Direction, FilterMessage, Handle, HostId, Link, PingTimers, Policy, Verdict,
};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Blocks a filter at messages that begin with a `!`, and reports when it blocks.
#[derive(Clone)]
struct Gate {
    report: Sender<()>,
    go: Receiver<()>,
}

/// The other side of a gate.
struct Keeper {
    reports: Receiver<()>,
    open: Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let ((report, reports), (open, go)) = (unbounded(), bounded(0));
    (Gate { report, go }, Keeper { reports, open })
}

impl Gate {
    fn pass(&self, message: &FilterMessage<'_>) {
        if message.direction() == Direction::Rx && message.payload().starts_with(b"!") {
            self.report.send(()).unwrap();
            self.go.recv_timeout(DEADLINE).unwrap();
        }
    }
}

impl Keeper {
    fn wait(&self) {
        self.reports.recv_timeout(DEADLINE).unwrap();
    }

    fn open(&self) {
        self.open.send_timeout((), DEADLINE).unwrap();
    }
}

#[test]
fn a_replaced_filter_is_not_called_for_the_rest_of_a_batch() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (gate, keeper) = gate();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let old = move |message: &mut FilterMessage<'_>| {
        counter.fetch_add(1, Ordering::SeqCst);
        gate.pass(message);
        Verdict::Broadcast
    };
    cluster.handle(2).set_filter(old).unwrap();
    from.send(b"! so that the next come together").unwrap();
    keeper.wait();
    from.send(b"! of these, to be in the middle of a batch").unwrap();
    for number in 0..30 {
        from.send(&message(50, number)).unwrap();
    }
    keeper.open();
    keeper.wait();
    // Waits for the filter, but only for a limited time.
    cluster.handle(2).set_filter(|_| Verdict::Broadcast).unwrap();
    keeper.open();
    (0..2).for_each(|_| assert!(receive(&to).starts_with(b"!")));
    for number in 0..30 {
        assert_eq!(receive(&to), message(50, number));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn replacing_a_filter_waits_for_the_call_that_is_running() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (gate, keeper) = gate();
    let left = Arc::new(AtomicUsize::new(0));
    let counter = left.clone();
    let slow = move |message: &mut FilterMessage<'_>| {
        gate.pass(message);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            thread::yield_now();
        }
        counter.fetch_add(1, Ordering::SeqCst);
        Verdict::Broadcast
    };
    cluster.handle(2).set_filter(slow).unwrap();
    from.send(b"!").unwrap();
    keeper.wait();
    keeper.open();
    cluster.handle(2).remove_filter().unwrap();
    assert_eq!(left.load(Ordering::SeqCst), 1);
    assert_eq!(receive(&to), b"!");
}

/// Blocks a filter for longer than the timeout of its peers. They consider this host down, rightly.
/// This host itself was not listening, so it must not consider its peers down.
#[test]
fn a_long_blocking_filter_takes_none_of_our_links_down() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (gate, keeper) = gate();
    let impatient = PingTimers { timeout: Duration::from_millis(700), ..QUICK };
    for (at, peer) in [(1, 2), (2, 1)] {
        cluster.link(at, peer, 0).set_ping_timers(impatient).unwrap();
    }
    let theirs = cluster.handle(1).link_events();
    let blocking = move |message: &mut FilterMessage<'_>| {
        gate.pass(message);
        Verdict::Broadcast
    };
    cluster.handle(2).set_filter(blocking).unwrap();
    for _ in 0..2 {
        let before = cluster.link(2, 1, 0).status().unwrap().stats;
        from.send(b"!").unwrap();
        keeper.wait();
        next_like(&theirs, |event| !event.state.is_up());
        keeper.open();
        assert_eq!(receive(&to), b"!");
        wait_up(&cluster.link(1, 2, 0));
        until("there are new pongs", || {
            let now = cluster.link(2, 1, 0).status().unwrap().stats;
            now.rx_pong_packets > before.rx_pong_packets + 1
        });
        let after = cluster.link(2, 1, 0).status().unwrap().stats;
        // A machine that suspends the other process for long is a reason to go down.
        assert_eq!(after.down_count, before.down_count);
    }
}

/// Checks that sockets are served between two messages of a batch: pings are answered, however long
/// the batch takes.
#[test]
fn pings_are_answered_while_messages_wait_for_a_slow_filter() {
    const MESSAGES: usize = 20;
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (gate, keeper) = gate();
    let (report, reports) = unbounded();
    let peers: Link = cluster.link(1, 2, 0);
    let pings = |link: &Link| link.status().unwrap().stats.tx_ping_packets;
    let pongs = |link: &Link| link.status().unwrap().stats.rx_pong_packets;
    let answered = AtomicUsize::new(0);
    let slow = move |message: &mut FilterMessage<'_>| {
        gate.pass(message);
        if message.payload().starts_with(b"!") {
            return Verdict::Broadcast;
        }
        let began = Instant::now();
        let wait = |done: &dyn Fn() -> bool| {
            while !done() && began.elapsed() < DEADLINE {
                thread::yield_now();
            }
            done()
        };
        // Answered since the previous message: two pings arrived while the filter was busy with it.
        let before = answered.load(Ordering::SeqCst);
        let heard = wait(&|| pongs(&peers) as usize > before);
        answered.store(pongs(&peers) as usize, Ordering::SeqCst);
        let asked = pings(&peers);
        let busy = wait(&|| pings(&peers) > asked + 1);
        report.send(heard && busy).unwrap();
        Verdict::Broadcast
    };
    cluster.handle(2).set_filter(slow).unwrap();
    from.send(b"! so that the next come together").unwrap();
    keeper.wait();
    for number in 0..MESSAGES {
        from.send(&message(700, number)).unwrap();
    }
    keeper.open();
    for number in 0..MESSAGES {
        assert!(reports.recv_timeout(DEADLINE * 2).unwrap(), "message {number}");
    }
    assert!(receive(&to).starts_with(b"!"));
    for number in 0..MESSAGES {
        assert_eq!(receive(&to), message(700, number));
    }
    flush(cluster.handle(2));
    assert_eq!(cluster.link(1, 2, 0).status().unwrap().stats.down_count, 0);
}

/// Receives a message and its duplicate in one batch: if the first cannot be delivered, the second
/// is.
#[test]
fn a_duplicate_in_the_same_batch_is_delivered_instead() {
    let [one, two] = [1, 2].map(|id| Handle::new(HostId::new(id)).unwrap());
    let bind = |handle: &Handle| handle.bind(ANY.into()).unwrap();
    let (here, there) = ([bind(&one), bind(&one)], bind(&two));
    for (link, end) in (0..).zip(&here) {
        let (one_addr, two_addr): (SocketAddr, SocketAddr) = (end.addr(), there.addr());
        watch(&one, 2, link, one_addr, two_addr, QUICK);
        watch(&two, 1, link, two_addr, one_addr, QUICK);
    }
    one.host(HostId::new(2)).unwrap().set_policy(Policy::Active).unwrap();
    let [from, to] = [&one, &two].map(|handle| {
        let _ = handle.datafd_events();
        handle.set_forwarding(true).unwrap();
        handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap()
    });
    wait_until_reachable(&one, &two);
    for link in 0..2 {
        wait_up(&one.host(HostId::new(2)).unwrap().link(link_id(link)).unwrap());
    }
    let (gate, keeper) = gate();
    let asked = AtomicUsize::new(0);
    let filter = move |message: &mut FilterMessage<'_>| {
        gate.pass(message);
        let first = message.payload() == b"twice" && asked.fetch_add(1, Ordering::SeqCst) == 0;
        if first { Verdict::Reject } else { Verdict::Broadcast }
    };
    two.set_filter(filter).unwrap();
    from.send(b"!").unwrap();
    keeper.wait();
    assert_eq!(from.send(b"twice").unwrap().hosts, 1);
    from.send(b"last").unwrap();
    keeper.open();
    assert_eq!(receive(&to), b"!");
    let mut both = [receive(&to), receive(&to)];
    both.sort_unstable();
    assert_eq!(both, [b"last".to_vec(), b"twice".to_vec()]);
}
