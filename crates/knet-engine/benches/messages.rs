//! The engine's work per message, without I/O: `cargo bench -p knet-engine`.

// Clippy knows tests, but not the benchmarks, where what cannot go on may fail too.
#![allow(clippy::unwrap_used)]

#[path = "../tests/pair/mod.rs"]
mod pair;

use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use knet_engine::{DatagramMeta, FragmentPlan, Policy, Received};
use knet_wire::{DATA_HEADER_LEN, DataHeader, Fragment, Packet, SequenceNumber};
use pair::{A, B, HOSTS, LINK, Pair};

fn main() {
    divan::main();
}

/// A message that arrives repeatedly, with another number each time.
struct Incoming {
    pair: Pair,
    meta: DatagramMeta,
    packets: Vec<Vec<u8>>,
    fragments: Vec<Fragment>,
    sequence: u16,
}

impl Incoming {
    /// A message of `len` bytes, over a path with the MTU of Ethernet.
    fn new(size: usize) -> Self {
        let mut pair = Pair::new(1, Policy::Passive);
        pair.mtu = 1500;
        pair.enable(A);
        pair.enable(B);
        pair.run(Duration::from_secs(6));
        let packets: Vec<Vec<u8>> =
            pair.packets(A, &vec![7; size]).into_iter().map(|(_, packet)| packet).collect();
        let fragment = |packet: &Vec<u8>| match Packet::decode(packet).unwrap().body {
            knet_wire::Body::Data(data) => data.header.fragment,
            _ => unreachable!("messages travel as data"),
        };
        let fragments = packets.iter().map(fragment).collect();
        let socket = pair.status(B, LINK).socket.expect("a link over UDP");
        let meta = DatagramMeta { socket, source: pair.addresses[A][LINK.index()], local: None };
        Self { pair, meta, packets, fragments, sequence: 1 }
    }

    /// Passes all packets of the next message to the engine.
    fn next(&mut self) -> usize {
        // No message is number 0.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let sequence = SequenceNumber::new(self.sequence);
        for (packet, &fragment) in self.packets.iter_mut().zip(&self.fragments) {
            let header =
                DataHeader { sequence, compression: 0, broadcast: true, fragment, channel: 3 };
            packet[..DATA_HEADER_LEN].copy_from_slice(&header.encode(HOSTS[A]));
        }
        self.again()
    }

    /// Passes the packets of the last message to the engine once more. Returns how many messages it
    /// delivers.
    fn again(&mut self) -> usize {
        let (engine, mut messages) = (&mut self.pair.engines[B], 0);
        for packet in &self.packets {
            match engine.handle_datagram(self.pair.now, self.meta, black_box(packet)) {
                Received::Message(..) => messages += 1,
                Received::Reassembled(_, message) => {
                    messages += 1;
                    engine.recycle(message);
                }
                _ => {}
            }
        }
        messages
    }
}

/// The duplicate window, for a message that is new.
#[divan::bench]
fn new_message(bencher: Bencher<'_, '_>) {
    let mut incoming = Incoming::new(64);
    assert_eq!(incoming.next(), 1);
    bencher.bench_local(|| incoming.next());
}

/// The duplicate window, for a duplicate.
#[divan::bench]
fn copy_of_a_message(bencher: Bencher<'_, '_>) {
    let mut incoming = Incoming::new(64);
    assert_eq!((incoming.next(), incoming.again()), (1, 0));
    bencher.bench_local(|| incoming.again());
}

/// A message that comes in fragments, as they were sent.
#[divan::bench(args = [8192, 65536])]
fn reassembly(bencher: Bencher<'_, '_>, size: usize) {
    let mut incoming = Incoming::new(size);
    assert_eq!(incoming.next(), 1);
    bencher.counter(BytesCount::new(size)).bench_local(|| incoming.next());
}

/// How a message is cut, with the header of each piece.
#[divan::bench(args = [1024, 65536])]
fn fragmenting(bencher: Bencher<'_, '_>, size: usize) {
    bencher.bench(|| {
        let plan = FragmentPlan::new(black_box(size), black_box(1446)).unwrap();
        plan.iter().fold(0, |sum, (fragment, bytes)| {
            let sequence = SequenceNumber::new(4711);
            let header =
                DataHeader { sequence, compression: 0, broadcast: true, fragment, channel: 3 };
            sum + usize::from(black_box(header.encode(HOSTS[A]))[7]) + bytes.len()
        })
    });
}
