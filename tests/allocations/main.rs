//! Allocations per message in the steady state: none.
//!
//! Everything in this process is counted, so there is a single test, and its loops reuse their
//! memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::alloc::System;
use std::time::Duration;

use knet_tests::cluster::{Cluster, message};
use knet_tests::wait::readable;
use kronosnet::{Datafd, FilterMessage, HostId, PingTimers, Verdict};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

/// Two hosts with a datafd each, and a buffer for received messages.
struct Pair {
    cluster: Cluster,
    from: Datafd,
    to: Datafd,
    buffer: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let cluster = Cluster::pair();
        let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
        for (at, peer) in [(1, 2), (2, 1)] {
            let rarely = PingTimers {
                interval: Duration::from_secs(3600),
                timeout: Duration::from_secs(24 * 3600),
                ..PingTimers::default()
            };
            cluster.link(at, peer, 0).set_ping_timers(rarely).unwrap();
        }
        Self { cluster, from, to, buffer: vec![0; kronosnet::MAX_MESSAGE] }
    }

    /// Receives this many messages of this length.
    fn receive(&mut self, count: usize, length: usize) {
        for _ in 0..count {
            readable(&self.to);
            assert_eq!(self.to.recv(&mut self.buffer).unwrap(), length);
        }
    }

    /// Asserts that a round of messages without any allocation comes. Some of the first messages
    /// allocate, for memory that is reused; so may a ping, or a batch that is longer than any
    /// before. But if every message allocated, no round could be free of allocations.
    fn costs_nothing(&mut self, what: &str, mut pass: impl FnMut(&mut Self)) {
        let mut least = usize::MAX;
        for _ in 0..ROUNDS {
            let before = allocations();
            for _ in 0..BATCHES {
                pass(self);
            }
            least = least.min(allocations() - before);
            if least == 0 {
                return;
            }
        }
        panic!("{what}: {least} allocations for {} messages at best", BATCHES * BATCH);
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(nix::unistd::write(&self.from, bytes).unwrap(), bytes.len());
    }
}

#[test]
fn messages_cost_no_allocation() {
    let mut pair = Pair::new();
    // The links carry packets of 576 bytes: one, two and fifteen of them.
    for length in [64, 1000, 8000] {
        let bytes = message(length, 1);
        pair.costs_nothing(&format!("{length} bytes written"), |pair| {
            (0..BATCH).for_each(|_| pair.write(&bytes));
            pair.receive(BATCH, length);
        });
        pair.costs_nothing(&format!("{length} bytes sent"), |pair| {
            for _ in 0..BATCH {
                assert_eq!(pair.from.send(&bytes).unwrap().hosts, 1);
            }
            pair.receive(BATCH, length);
        });
    }

    let everybody = |_: &mut FilterMessage<'_>| Verdict::Broadcast;
    let to_two = |message: &mut FilterMessage<'_>| {
        message.add_destination(HostId::new(2));
        Verdict::Destinations
    };
    let bytes = message(64, 2);
    for at in [1, 2] {
        pair.cluster.handle(at).set_filter(everybody).unwrap();
    }
    pair.costs_nothing("through filters", |pair| {
        (0..BATCH).for_each(|_| pair.write(&bytes));
        pair.receive(BATCH, 64);
    });
    pair.cluster.handle(1).set_filter(to_two).unwrap();
    pair.costs_nothing("to one host", |pair| {
        for _ in 0..BATCH {
            assert_eq!(pair.from.send(&bytes).unwrap().delivered().count(), 1);
        }
        pair.receive(BATCH, 64);
    });
}

/// The number of messages in transit together.
const BATCH: usize = 32;
/// The number of batches per round.
const BATCHES: usize = 30;
/// The maximum number of rounds.
const ROUNDS: usize = 200;
