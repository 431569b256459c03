//! Three engines with two links between each two of them, and an attacker who sees every packet: packets
//! are lost, copied, reordered, cut and changed, others are made up, and time goes on, and sometimes back.
//! None panics, asks to be woken for what it has just done, or keeps more than it may.
#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use knet_engine::{
    Arrival, Engine, EngineConfig, FragmentPlan, LinkPath, Policy, Received, SocketId,
};
use knet_wire::{DataHeader, Fragment, FragmentPart, HostId, LinkId, MAX_MESSAGE, SequenceNumber};

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step {
    /// Time passes, and all that is due happens.
    Wait {
        ms: u16,
    },
    /// A clock steps back.
    Rewind {
        ms: u8,
    },
    /// A packet on its way arrives: which one of them comes from the input.
    Deliver {
        nth: u8,
    },
    DeliverAll,
    Copy {
        nth: u8,
    },
    Lose {
        nth: u8,
    },
    Change {
        nth: u8,
        at: u16,
        to: u8,
    },
    Cut {
        nth: u8,
        to: u16,
    },
    /// As if it came from another host, on another link, or from a stranger.
    Move {
        nth: u8,
        from: u8,
        to: u8,
        link: u8,
    },
    Forge {
        from: u8,
        to: u8,
        link: u8,
        datagram: Vec<u8>,
    },
    /// A data packet with these fields.
    Data {
        from: u8,
        to: u8,
        link: u8,
        sequence: u16,
        index: u8,
        count: u8,
        channel: u8,
        len: u16,
    },
    Send {
        from: u8,
        len: u16,
    },
    Skip {
        from: u8,
        numbers: u16,
    },
    ForcePings {
        at: u8,
    },
    Enable {
        at: u8,
        peer: u8,
        link: u8,
        on: bool,
    },
    Policy {
        at: u8,
        peer: u8,
        policy: u8,
    },
    ManualMtu {
        at: u8,
        mtu: Option<u16>,
    },
    Refused {
        at: u8,
        peer: u8,
        link: u8,
        size: u16,
    },
    Limit {
        at: u8,
        peer: u8,
        link: u8,
        limit: u32,
        sure: bool,
    },
    Unreachable {
        at: u8,
        peer: u8,
        link: u8,
        errno: i32,
    },
}

/// A packet on its way.
#[derive(Clone)]
struct Flight {
    from: usize,
    to: usize,
    link: LinkId,
    datagram: Vec<u8>,
}

struct World {
    now: Instant,
    engines: Vec<Engine>,
    flying: Vec<Flight>,
}

libfuzzer_sys::fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    for step in steps.into_iter().take(MAX_STEPS) {
        world.take(step);
        for at in 0..HOSTS {
            world.drain(at);
        }
    }
});

impl World {
    fn new() -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let mut engines = Vec::new();
        for own in 0..HOSTS {
            let config = EngineConfig { host: id(own), cookie_key: [own as u8; 16] };
            let mut engine = Engine::new(now, &config);
            for peer in (0..HOSTS).filter(|&peer| peer != own) {
                engine.add_host(id(peer)).expect("each host is new");
                for link in links() {
                    let path = LinkPath { socket: socket(link), remote: address(peer, link) };
                    engine.add_link(now, id(peer), link, path).expect("each link is new");
                    engine.set_pong_count(id(peer), link, 1).expect("it was added");
                    engine.set_link_enabled(now, id(peer), link, true).expect("it was added");
                }
            }
            engines.push(engine);
        }
        let mut world = Self { now, engines, flying: Vec::new() };
        for at in 0..HOSTS {
            world.drain(at);
        }
        world
    }

    fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Wait { ms } => self.wait(Duration::from_millis(ms.into())),
            Step::Rewind { ms } => self.now -= Duration::from_millis(ms.into()),
            Step::Deliver { nth } => {
                if let Some(flight) = self.pick(nth) {
                    self.arrive(&flight);
                }
            }
            Step::DeliverAll => {
                for flight in std::mem::take(&mut self.flying) {
                    self.arrive(&flight);
                }
            }
            Step::Lose { nth } => drop(self.pick(nth)),
            Step::Copy { nth } => {
                if let Some(flight) = self.pick(nth) {
                    self.flying.extend([flight.clone(), flight]);
                }
            }
            Step::Change { nth, at, to } => self.change(nth, |flight| {
                if let Some(byte) = flight.datagram.get_mut(usize::from(at)) {
                    *byte = to;
                }
            }),
            Step::Cut { nth, to } => self.change(nth, |flight| flight.datagram.truncate(to.into())),
            Step::Move { nth, from, to, link } => self.change(nth, |flight| {
                flight.from = usize::from(from) % (HOSTS + 1);
                flight.to = usize::from(to) % HOSTS;
                flight.link = link_of(link);
            }),
            Step::Forge { from, to, link, datagram } => self.forge(from, to, link, datagram),
            Step::Data { from, to, link, sequence, index, count, channel, len } => {
                let part = FragmentPart::new(index, count);
                let fragment = part.map_or(Fragment::Whole, Fragment::Part);
                let sequence = SequenceNumber::new(sequence);
                let header =
                    DataHeader { sequence, compression: 0, broadcast: true, fragment, channel };
                let header = header.encode(id(usize::from(from) % HOSTS));
                self.forge(from, to, link, [&header[..], &vec![7; len.into()]].concat());
            }
            Step::Send { from, len } => self.send(usize::from(from) % HOSTS, len.into()),
            Step::Skip { from, numbers } => {
                let sequence = self.engines[usize::from(from) % HOSTS].sequence();
                for _ in 0..numbers {
                    sequence.next();
                }
            }
            Step::ForcePings { at } => self.engines[usize::from(at) % HOSTS].force_pings(now),
            Step::ManualMtu { at, mtu } => {
                let _ = self.engines[usize::from(at) % HOSTS].set_manual_mtu(now, mtu);
            }
            Step::Enable { at, peer, link, on } => {
                let (engine, peer) = self.engine(at, peer);
                let _ = engine.set_link_enabled(now, id(peer), link_of(link), on);
            }
            Step::Policy { at, peer, policy } => {
                let policies = [Policy::Passive, Policy::Active, Policy::RoundRobin];
                let (engine, peer) = self.engine(at, peer);
                let _ = engine.set_policy(now, id(peer), policies[usize::from(policy) % 3]);
            }
            Step::Refused { at, peer, link, size } => {
                let (engine, peer) = self.engine(at, peer);
                engine.handle_probe_refused(now, id(peer), link_of(link), size);
            }
            Step::Limit { at, peer, link, limit, sure } => {
                let (engine, peer) = self.engine(at, peer);
                let (socket, to) = (socket(link_of(link)), address(peer, link_of(link)).ip());
                if sure {
                    engine.handle_mtu_limit(now, socket, to, limit);
                } else {
                    engine.handle_mtu_suggestion(now, socket, to, limit);
                }
            }
            Step::Unreachable { at, peer, link, errno } => {
                let (engine, peer) = self.engine(at, peer);
                let (socket, to) = (socket(link_of(link)), address(peer, link_of(link)));
                engine.handle_transport_error(now, socket, to, errno);
            }
        }
    }

    /// Lets time pass; timers are served as they come, a bounded number of times.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_WAKEUPS {
            let due = |at: usize| Some((self.engines[at].poll_timeout()?, at));
            let Some((at, host)) = (0..HOSTS).filter_map(due).min().filter(|&(at, _)| at <= end)
            else {
                break;
            };
            self.now = self.now.max(at);
            self.drain(host);
        }
        self.now = end;
    }

    fn pick(&mut self, nth: u8) -> Option<Flight> {
        let nth = usize::from(nth).checked_rem(self.flying.len())?;
        Some(self.flying.swap_remove(nth))
    }

    fn change(&mut self, nth: u8, change: impl FnOnce(&mut Flight)) {
        let Some(nth) = usize::from(nth).checked_rem(self.flying.len()) else { return };
        change(&mut self.flying[nth]);
    }

    fn forge(&mut self, from: u8, to: u8, link: u8, datagram: Vec<u8>) {
        let (from, to) = (usize::from(from) % (HOSTS + 1), usize::from(to) % HOSTS);
        self.arrive(&Flight { from, to, link: link_of(link), datagram });
    }

    fn arrive(&mut self, flight: &Flight) {
        let Flight { from, to, link, datagram } = flight;
        let arrival = Arrival { socket: socket(*link), source: address(*from, *link) };
        let engine = &mut self.engines[*to];
        match engine.handle_datagram(self.now, arrival, datagram) {
            Received::Whole(_, range) => assert!(!datagram[range].is_empty()),
            Received::Assembled(delivery, message) => {
                assert!((2..=MAX_MESSAGE).contains(&message.bytes().len()));
                engine.recycle(message);
                engine.delivery_failed(delivery.receipt);
            }
            _ => {}
        }
    }

    /// Sends a message to everybody, by the routes of now.
    fn send(&mut self, from: usize, len: usize) {
        let Some(routes) = self.engines[from].poll_routes() else { return };
        let sequence = self.engines[from].sequence().next();
        for route in routes.hosts() {
            let Ok(plan) = FragmentPlan::new(len.max(1), route.data_mtu()) else { continue };
            for (_, link) in route.links_of_next_message() {
                for (fragment, bytes) in plan.iter() {
                    let header = DataHeader {
                        sequence,
                        compression: 0,
                        broadcast: true,
                        fragment,
                        channel: 0,
                    };
                    let datagram = [&header.encode(id(from))[..], &vec![1; bytes.len()]].concat();
                    let to = usize::from(route.host().get()) - 1;
                    self.fly(Flight { from, to, link: link.link, datagram });
                }
            }
        }
    }

    /// Does what a driver does after each call, and looks at what must hold then.
    fn drain(&mut self, at: usize) {
        let now = self.now;
        self.engines[at].handle_timeout(now);
        let next = self.engines[at].poll_timeout();
        assert!(next.is_none_or(|next| next > now), "host {at} would never sleep");
        while let Some(transmit) = self.engines[at].poll_transmit() {
            let datagram = [transmit.packet(), &vec![0; transmit.filler()]].concat();
            let (to, link) = (usize::from(transmit.host().get()) - 1, transmit.link());
            transmit.sent(datagram.len());
            self.fly(Flight { from: at, to, link, datagram });
        }
        let engine = &mut self.engines[at];
        while engine.poll_event().is_some() {}
        assert!(engine.reassembly_memory() <= 64 << 20);
        for peer in (0..HOSTS).filter(|&peer| peer != at) {
            for link in links() {
                let status = engine.link_status(now, id(peer), link).expect("it was added");
                assert!((1..=MAX_MESSAGE).contains(&status.data_mtu), "{status:?}");
                assert!(status.path_mtu.is_none_or(|mtu| (576..=65_535).contains(&mtu)));
            }
        }
    }

    fn fly(&mut self, flight: Flight) {
        if self.flying.len() < MAX_FLYING {
            self.flying.push(flight);
        }
    }

    /// An engine, and a peer of it.
    fn engine(&mut self, at: u8, peer: u8) -> (&mut Engine, usize) {
        let at = usize::from(at) % HOSTS;
        (&mut self.engines[at], (at + 1 + usize::from(peer) % (HOSTS - 1)) % HOSTS)
    }
}

fn id(host: usize) -> HostId {
    HostId::new(host as u16 + 1)
}

fn links() -> impl Iterator<Item = LinkId> {
    LinkId::ALL.into_iter().take(LINKS)
}

fn link_of(number: u8) -> LinkId {
    LinkId::ALL[usize::from(number) % LINKS]
}

fn socket(link: LinkId) -> SocketId {
    SocketId(link.get().into())
}

/// The address of a host on a link: the second link is IPv6. One more host than there are is a
/// stranger.
fn address(host: usize, link: LinkId) -> SocketAddr {
    match link.get() {
        0 => ([10, 0, 0, host as u8], 5405).into(),
        _ => ([0xfd00, 0, 0, 0, 0, 0, 0, host as u16], 5405).into(),
    }
}

const HOSTS: usize = 3;
const LINKS: usize = 2;
/// Longer inputs find nothing that shorter ones do not.
const MAX_STEPS: usize = 400;
const MAX_FLYING: usize = 256;
const MAX_WAKEUPS: usize = 300;
