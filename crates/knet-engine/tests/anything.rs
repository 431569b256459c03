//! Calls and packets in any order: none panics, and the engine never asks to be woken for something
//! that it has just done.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_engine::{
    Arrival, Engine, EngineConfig, LinkPath, LinkState, PingTimers, Policy, Received, SocketId,
};
use knet_wire::{
    Body, DataHeader, Fragment, FragmentPart, HostId, LinkId, Packet, Ping, Pmtu, SequenceNumber,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Something that happens to an engine.
#[derive(Clone, Debug)]
enum Step {
    AddHost(HostId),
    RemoveHost(HostId),
    SetName(HostId, String),
    SetPolicy(HostId, Policy),
    AddLink(HostId, LinkId),
    ClearLink(HostId, LinkId),
    Enable(HostId, LinkId, bool),
    SetTimers(HostId, LinkId, PingTimers),
    SetPongCount(HostId, LinkId, u8),
    SetPriority(HostId, LinkId, u8),
    SetMtu(Option<u16>),
    TransportError(SocketId, SocketAddr, i32),
    ForcePings,
    /// Time passes without a call.
    Wait(Duration),
    /// The driver sleeps until the engine wants to be called.
    Sleep,
    /// A clock that steps back.
    Rewind(Duration),
    Datagram(Arrival, Vec<u8>),
    /// Every ping since the last time is answered.
    AnswerPings,
    /// The latest message could not be delivered.
    DeliveryFailed,
    CountMessages(u16),
}

/// An engine and what its driver remembers.
struct Driver {
    now: Instant,
    engine: Engine,
    pings: Vec<(HostId, LinkId, Ping)>,
    latest: Option<knet_engine::Receipt>,
}

impl Driver {
    fn new() -> Self {
        let now = Instant::now() + MARGIN;
        let config = EngineConfig { host: HostId::new(1), cookie_key: [5; 16] };
        Self { now, engine: Engine::new(now, &config), pings: Vec::new(), latest: None }
    }

    fn take(&mut self, step: Step) {
        let now = self.now;
        let engine = &mut self.engine;
        match step {
            Step::AddHost(host) => drop(engine.add_host(host)),
            Step::RemoveHost(host) => drop(engine.remove_host(host)),
            Step::SetName(host, name) => drop(engine.set_host_name(host, &name)),
            Step::SetPolicy(host, policy) => drop(engine.set_policy(now, host, policy)),
            Step::AddLink(host, link) => drop(engine.add_link(now, host, link, path(host, link))),
            Step::ClearLink(host, link) => drop(engine.clear_link(host, link)),
            Step::Enable(host, link, on) => drop(engine.set_link_enabled(now, host, link, on)),
            Step::SetTimers(host, link, timers) => {
                drop(engine.set_ping_timers(now, host, link, timers));
            }
            Step::SetPongCount(host, link, count) => {
                drop(engine.set_pong_count(host, link, count));
            }
            Step::SetPriority(host, link, to) => drop(engine.set_priority(now, host, link, to)),
            Step::SetMtu(onwire) => drop(engine.set_manual_mtu(now, onwire)),
            Step::TransportError(socket, to, errno) => {
                engine.handle_transport_error(now, socket, to, errno);
            }
            Step::ForcePings => engine.force_pings(now),
            Step::Wait(time) => self.now += time,
            Step::Sleep => {
                // Timers may be set to centuries, which the clock can't add up for ever.
                let next = engine.poll_timeout().filter(|&next| next < now + MARGIN);
                self.now = next.unwrap_or(now).max(now);
            }
            Step::Rewind(time) => self.now -= time,
            Step::Datagram(arrival, datagram) => self.receive(arrival, &datagram),
            Step::AnswerPings => self.answer_pings(),
            Step::DeliveryFailed => {
                if let Some(receipt) = self.latest.take() {
                    engine.delivery_failed(receipt);
                }
            }
            Step::CountMessages(count) => {
                let sequence = engine.sequence();
                for _ in 0..count {
                    sequence.next();
                }
            }
        }
    }

    fn receive(&mut self, arrival: Arrival, datagram: &[u8]) {
        match self.engine.handle_datagram(self.now, arrival, datagram) {
            Received::Whole(delivery, range) => {
                assert!(!datagram[range].is_empty());
                self.latest = Some(delivery.receipt);
            }
            Received::Assembled(delivery, message) => {
                assert!((2..=65_536).contains(&message.bytes().len()));
                self.latest = Some(delivery.receipt);
                self.engine.recycle(message);
            }
            _ => {}
        }
    }

    fn answer_pings(&mut self) {
        for (host, link, ping) in std::mem::take(&mut self.pings) {
            let LinkPath { socket, remote: source } = path(host, link);
            self.receive(Arrival { socket, source }, &ping.encode_pong(host));
        }
    }

    /// What a driver does after each call, and what must hold then.
    fn drain(&mut self) {
        self.engine.handle_timeout(self.now);
        let next = self.engine.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "the driver would never sleep");
        while let Some(transmit) = self.engine.poll_transmit() {
            let packet = Packet::decode(transmit.packet()).expect("we send what we accept");
            if let Body::Ping(ping) = packet.body {
                self.pings.push((transmit.host(), transmit.link(), ping));
            }
            transmit.sent(26);
        }
        while self.engine.poll_event().is_some() {}
        let _ = self.engine.poll_routes();
        assert!(self.engine.reassembly_memory() <= 64 << 20);
        self.check_hosts();
    }

    fn check_hosts(&self) {
        for host in self.engine.hosts() {
            let status = self.engine.host_status(host).expect("it is listed");
            assert_eq!(self.engine.host_by_name(&status.name), Ok(host));
            let mut up = Vec::new();
            for link in self.engine.links(host).expect("it is listed") {
                let status = self.engine.link_status(self.now, host, link).expect("listed");
                assert!(status.enabled || !status.state.is_up(), "a disabled link is up");
                if status.state == LinkState::Up {
                    up.push(link);
                }
            }
            assert_eq!(status.reachable, !up.is_empty());
            assert_eq!(status.data_mtu.is_some(), status.reachable);
            if status.policy == Policy::Passive {
                assert!(status.active_links.len() <= 1);
                assert!(status.active_links.iter().all(|link| up.contains(link)));
            } else {
                assert_eq!(status.active_links, up);
            }
        }
    }
}

fn path(host: HostId, link: LinkId) -> LinkPath {
    let remote = match link.get() {
        1 => ([0, 0, 0, 0, 0, 0, 1, host.get()], 5405).into(),
        four => ([10, 0, four, host.get() as u8], 5405).into(),
    };
    LinkPath { socket: SocketId(u64::from(link.get() % 2)), remote }
}

fn hosts() -> impl Strategy<Value = HostId> {
    select(vec![2u16, 2, 2, 2, 2, 3, 4, 1]).prop_map(HostId::new)
}

fn links() -> impl Strategy<Value = LinkId> {
    select(vec![0usize, 0, 0, 0, 1, 2, 7]).prop_map(|link| LinkId::ALL[link])
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        5 => (0u64..5000).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_nanos),
        1 => Just(Duration::MAX),
    ]
}

fn timers() -> impl Strategy<Value = PingTimers> {
    (durations(), durations(), any::<u32>()).prop_map(|(interval, timeout, precision)| PingTimers {
        interval,
        timeout,
        precision,
    })
}

fn arrivals() -> impl Strategy<Value = Arrival> {
    (hosts(), links()).prop_map(|(host, link)| {
        let LinkPath { socket, remote: source } = path(host, link);
        Arrival { socket, source }
    })
}

/// Packets that decode, from the place where they belong.
fn packets() -> impl Strategy<Value = (Arrival, Vec<u8>)> {
    let sequence = prop_oneof![6 => 0u16..6, 1 => any::<u16>()].prop_map(SequenceNumber::new);
    let part =
        |index, count| FragmentPart::new(index, count).map_or(Fragment::Whole, Fragment::Part);
    let fragment = prop_oneof![
        2 => Just(Fragment::Whole),
        6 => (1u8..3).prop_map(move |index| part(index, 2)),
        1 => (1u8..5, 2u8..5).prop_map(move |(index, count)| part(index, count)),
    ];
    let len = prop_oneof![4 => Just(100), 1 => 1usize..200, 1 => 1usize..66_000];
    (hosts(), links(), sequence, fragment, len, 0u8..6, any::<bool>()).prop_map(
        |(host, link, sequence, fragment, len, kind, timed)| {
            let LinkPath { socket, remote: source } = path(host, link);
            let ping = Ping { link, cookie: [kind; 16], sequence, timed };
            let datagram = match kind {
                0 => ping.encode_ping(host).to_vec(),
                1 => ping.encode_pong(host).to_vec(),
                2 => Pmtu { link, onwire: [1, 1] }.encode_reply(host).to_vec(),
                _ => {
                    let (compression, broadcast) = (u8::from(len < 10), len < 20);
                    let header =
                        DataHeader { sequence, compression, broadcast, fragment, channel: 4 };
                    [&header.encode(host)[..], &vec![kind; len]].concat()
                }
            };
            (Arrival { socket, source }, datagram)
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let policies = select(vec![Policy::Passive, Policy::Active, Policy::RoundRobin]);
    let mtu = prop_oneof![Just(None), any::<u16>().prop_map(Some), Just(Some(1500))];
    let errors =
        (0u64..3, hosts(), links(), any::<i32>()).prop_map(|(socket, host, link, errno)| {
            Step::TransportError(SocketId(socket), path(host, link).remote, errno)
        });
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        2 => hosts().prop_map(Step::AddHost),
        1 => hosts().prop_map(Step::RemoveHost),
        1 => (hosts(), "[23a]{0,2}").prop_map(|(host, name)| Step::SetName(host, name)),
        1 => (hosts(), policies).prop_map(|(host, policy)| Step::SetPolicy(host, policy)),
        4 => (hosts(), links()).prop_map(|(host, link)| Step::AddLink(host, link)),
        1 => (hosts(), links()).prop_map(|(host, link)| Step::ClearLink(host, link)),
        3 => (hosts(), links(), prop::bool::weighted(0.9))
            .prop_map(|(host, link, on)| Step::Enable(host, link, on)),
        2 => (hosts(), links(), timers()).prop_map(|(h, l, timers)| Step::SetTimers(h, l, timers)),
        3 => (hosts(), links(), 0u8..4).prop_map(|(h, l, count)| Step::SetPongCount(h, l, count)),
        1 => (hosts(), links(), any::<u8>()).prop_map(|(h, l, to)| Step::SetPriority(h, l, to)),
        1 => mtu.prop_map(Step::SetMtu),
        1 => errors,
        1 => Just(Step::ForcePings),
        4 => (0u64..20_000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        8 => Just(Step::Sleep),
        1 => (0u64..3000).prop_map(|ms| Step::Rewind(Duration::from_millis(ms))),
        24 => packets().prop_map(|(arrival, datagram)| Step::Datagram(arrival, datagram)),
        1 => (arrivals(), bytes).prop_map(|(arrival, bytes)| Step::Datagram(arrival, bytes)),
        12 => Just(Step::AnswerPings),
        1 => Just(Step::DeliveryFailed),
        1 => (0u16..9000).prop_map(Step::CountMessages),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_order_of_calls_and_packets_breaks_the_engine(
        steps in prop::collection::vec(steps(), 1..150),
    ) {
        let mut driver = Driver::new();
        // Something to break.
        let (host, link) = (HostId::new(2), LinkId::ALL[0]);
        driver.take(Step::AddHost(host));
        driver.take(Step::AddLink(host, link));
        driver.take(Step::SetPongCount(host, link, 1));
        driver.take(Step::Enable(host, link, true));
        for step in steps {
            driver.take(step);
            driver.drain();
        }
        // What is taken away leaves no timer behind.
        let hosts: Vec<_> = driver.engine.hosts().collect();
        for host in hosts {
            for link in LinkId::ALL {
                driver.take(Step::Enable(host, link, false));
                driver.take(Step::ClearLink(host, link));
            }
            driver.take(Step::RemoveHost(host));
        }
        driver.drain();
        prop_assert_eq!(driver.engine.hosts().count(), 0);
        prop_assert_eq!(driver.engine.poll_timeout(), None);
        prop_assert_eq!(driver.engine.reassembly_memory(), 0);
    }
}

/// No clock of a test is further from its start than this.
const MARGIN: Duration = Duration::from_secs(100 * 365 * 86_400);
