//! Packets that wait for room in their sockets while thousands of other messages overtake them.

use std::collections::BTreeSet;
use std::time::Duration;

use knet_engine::{MAX_SEQUENCE_LAG, PacketAge, Policy, WaitingCopy, renumber};
use knet_wire::{Body, Data, HostId, Packet, SequenceNumber};

use crate::cluster::{Cluster, Plan};
use crate::message::MessageId;
use crate::network::{Flight, Weather};
use crate::node::Target;
use crate::seeds::each_seed;

const ONE: HostId = HostId::new(1);

/// The time between two messages that overtake the waiting ones.
const PACE: Duration = Duration::from_micros(100);

/// Packets that leave after a wait are delivered once, and do not make their receivers deliver the
/// duplicates of other messages.
#[test]
fn packets_that_waited_do_no_harm() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Active));
        cluster.set_weather(Weather {
            jitter: Duration::from_millis(10),
            duplicate: 0.1,
            ..Weather::CLEAR
        });
        let mut dice = fastrand::Rng::with_seed(seed);
        for _ in 0..8 {
            let mut waiting = Waiting::default();
            for _ in 0..dice.usize(1..5) {
                let len = [20, 20, 3000][dice.usize(0..3)];
                let (id, flights) = cluster.hold(ONE, Target::Everybody, len, 0).unwrap();
                waiting.add(&mut cluster, &mut dice, id, flights);
            }
            let bursts = dice.u16(1..5);
            for _ in 0..bursts {
                for _ in 0..dice.u16(1..MAX_SEQUENCE_LAG) {
                    cluster.send(ONE, Target::Everybody, 20, 0).unwrap();
                    cluster.run_for(PACE);
                }
                waiting.renumber(&mut cluster);
            }
            waiting.leave(&mut cluster);
            cluster.run_for(Duration::from_millis(20));
        }
        cluster.finish();
    });
}

/// Packets of messages that found no room, as a driver keeps them.
#[derive(Default)]
struct Waiting {
    packets: Vec<Flight>,
    /// The messages of which a packet has left, and for which host.
    left: BTreeSet<(MessageId, HostId)>,
}

impl Waiting {
    /// Sends some packets of a message at once. The others wait.
    fn add(
        &mut self,
        cluster: &mut Cluster,
        dice: &mut fastrand::Rng,
        id: MessageId,
        flights: Vec<Flight>,
    ) {
        let some = dice.bool();
        for flight in flights {
            if some && dice.u8(0..4) == 0 {
                self.left.insert((id, flight.path.to));
                cluster.network.send(cluster.now, flight);
            } else {
                self.packets.push(flight);
            }
        }
    }

    /// Gives new numbers to overtaken messages.
    fn renumber(&mut self, cluster: &mut Cluster) {
        let current = cluster.node(ONE).number();
        let copies: Vec<_> = self
            .packets
            .iter()
            .map(|flight| WaitingCopy {
                message: message(flight).number as usize,
                host: usize::from(flight.path.to.get()),
                is_overtaken: PacketAge::of(number(flight), current) > PacketAge::Current,
                has_left: self.left.contains(&(message(flight), flight.path.to)),
            })
            .collect();
        let numbers = renumber(&copies, || cluster.next_number(ONE));
        for (flight, new) in self.packets.iter_mut().zip(numbers) {
            if let Some(new) = new {
                set_number(flight, new);
            }
        }
    }

    /// Sends all packets that have not expired.
    fn leave(self, cluster: &mut Cluster) {
        let current = cluster.node(ONE).number();
        for flight in self.packets {
            if PacketAge::of(number(&flight), current) < PacketAge::Expired {
                cluster.network.send(cluster.now, flight);
            }
        }
    }
}

fn message(flight: &Flight) -> MessageId {
    flight.frame.expect("data").message
}

fn data(flight: &Flight) -> Data<'_> {
    match Packet::decode(&flight.datagram).unwrap().body {
        Body::Data(data) => data,
        body => panic!("{body:?}"),
    }
}

fn number(flight: &Flight) -> SequenceNumber {
    data(flight).header.sequence
}

fn set_number(flight: &mut Flight, sequence: SequenceNumber) {
    let mut header = data(flight).header;
    header.sequence = sequence;
    let header = header.encode(flight.path.from);
    flight.datagram[..header.len()].copy_from_slice(&header);
}
