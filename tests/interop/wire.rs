//! The packets between the two, byte by byte. Vectors that were captured between two instances of
//! libknet are tests of knet-wire, which `cargo xtask interop` runs as well.

use std::sync::Arc;
use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::relay::Relay;
use knet_tests::wait::{read, until};
use kronosnet::Direction;
use parking_lot::Mutex;

use crate::network::{Family, both_families};
use crate::node::{Care, Datafd, Decision, Filter};
use crate::pair::{Pair, assert_same, write};

both_families! { same_messages_same_bytes answers_mirror_questions }

/// The type of a packet (`docs/wire-format.md`, "Packet types").
const DATA: u8 = 0x00;
const PING: u8 = 0x81;
const PONG: u8 = 0x82;
const PROBE: u8 = 0x83;
const REPLY: u8 = 0x84;

/// Two hosts, and every packet that passed between them.
struct Tapped {
    pair: Pair,
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    here: Datafd,
    there: Datafd,
    _relay: Relay,
}

impl Tapped {
    fn new(family: Family) -> Self {
        let packets = Arc::new(Mutex::new(Vec::new()));
        let kept = packets.clone();
        let relay = Relay::watched(family.address(1, 0), family.address(2, 0), move |packet| {
            kept.lock().push(packet.to_vec());
        });
        let pair = Pair::linked(family, &[Some((&relay, Care::default()))]);
        let (here, there) = pair.open(0);
        Self { pair, packets, here, there, _relay: relay }
    }

    /// Returns the packets of one type from one host, in order.
    fn of(&self, kind: u8, host: u8) -> Vec<Vec<u8>> {
        let packets = self.packets.lock();
        packets.iter().filter(|packet| packet[1] == kind && packet[3] == host).cloned().collect()
    }

    /// Asserts that all packets are understood, and are encoded to the same bytes again.
    fn check_all(&self) {
        for packet in self.packets.lock().iter() {
            assert!(knet_wire::fuzzing::decode(packet), "not decoded: {packet:02x?}");
        }
    }
}

/// Checks that both fragment a message into the same packets, apart from the sender.
fn same_messages_same_bytes(family: Family) {
    let tapped = Tapped::new(family);
    for (node, _) in tapped.pair.ways() {
        node.set_manual_mtu(Some(600));
        until("the MTU is in use", || node.data_mtu() == 600 - family.overhead() - 26);
    }
    let both = [(&tapped.here, &tapped.there), (&tapped.there, &tapped.here)];
    let exchange = |lengths: &[usize]| {
        for (from, to) in both {
            for (number, &length) in lengths.iter().enumerate() {
                write(from, &message(length, number));
                assert_same(&read(to), &message(length, number));
            }
        }
    };
    exchange(&[1, 100, 546, 547, 2000, 65536]);
    // Unicast is marked as such, and the packet contains the changed channel.
    let to_peer: Filter = Arc::new(|direction, _, _| match direction {
        Direction::Tx => Decision { hosts: vec![1, 2], channel: Some(31), ..Decision::only(0) },
        Direction::Rx => Decision { channel: Some(0), ..Decision::broadcast() },
    });
    for (node, _) in tapped.pair.ways() {
        node.set_filter(to_peer.clone());
    }
    exchange(&[1, 1500]);

    let [ours, theirs] = [1, 2].map(|host| {
        let mut packets = tapped.of(DATA, host);
        packets.iter_mut().for_each(|packet| packet[3] = 0);
        packets
    });
    assert!(ours.len() > 100);
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_same(ours, theirs);
    }
    tapped.check_all();
}

/// Checks that a pong equals its ping, and a reply the beginning of its probe, apart from the type
/// and the sender.
fn answers_mirror_questions(family: Family) {
    let tapped = Tapped::new(family);
    for (node, _) in tapped.pair.ways() {
        node.set_mtu_interval(Duration::from_secs(1));
    }
    for (asking, answering) in [(1, 2), (2, 1)] {
        for (question, answer, length) in [(PING, PONG, 26), (PROBE, REPLY, 9)] {
            until("there are replies", || !tapped.of(answer, answering).is_empty());
            let questions = tapped.of(question, asking);
            for answer in tapped.of(answer, answering) {
                let is_for = |question: &Vec<u8>| {
                    question[4..length] == answer[4..] && answer.len() == length
                };
                assert!(questions.iter().any(is_for), "no request for the reply {answer:02x?}");
            }
        }
    }
    tapped.check_all();
}
