//! Control packets that found no room in their socket. They wait for it on knet-rx, which goes on with
//! all other sockets meanwhile, and go before the packets of messages that wait for the same socket.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use knet_engine::{SocketId, Transmit};
use knet_poller::{Interest, Token};
use knet_transport::SendError;
use parking_lot::Mutex;

use crate::core::shared::Shared;
use crate::io::backpressure::Pause;
use crate::tx::transmitter::Transmitter;

/// A control packet that waits for room.
#[derive(Debug)]
pub(crate) struct HeldPacket {
    transmit: Transmit,
    pause: Pause,
    /// When it is given up.
    until: Instant,
}

impl HeldPacket {
    pub(crate) fn new(transmit: Transmit, error: &SendError, now: Instant) -> Self {
        Self { transmit, pause: Pause::after(error, now), until: now + PATIENCE }
    }
}

/// Where all threads put them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    any: AtomicBool,
    packets: Mutex<Vec<HeldPacket>>,
}

impl Held {
    pub(crate) fn push(&self, packet: HeldPacket) {
        let mut packets = self.packets.lock();
        packets.push(packet);
        self.any.store(true, Ordering::Release);
    }

    fn take(&self, into: &mut Vec<HeldPacket>) {
        if self.any.load(Ordering::Acquire) {
            let mut packets = self.packets.lock();
            self.any.store(false, Ordering::Release);
            into.append(&mut packets);
        }
    }
}

/// Those that wait, in knet-rx.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    packets: Vec<HeldPacket>,
    /// The sockets that are watched for room.
    watched: Vec<SocketId>,
    /// Whether one of them has some.
    told: bool,
}

impl Holding {
    /// The poller says that there is room in a socket.
    pub(crate) fn has_room(&mut self) {
        self.told = true;
    }

    /// Takes in what found no room, and tries what is due.
    pub(crate) fn work(&mut self, shared: &Shared, transmitter: &mut Transmitter) {
        let before = self.packets.len();
        shared.held.take(&mut self.packets);
        if self.packets.is_empty() && self.watched.is_empty() {
            return;
        }
        self.bound(before);
        let now = Instant::now();
        let told = mem::take(&mut self.told);
        for packet in mem::take(&mut self.packets) {
            if !told && now < packet.pause.until {
                self.packets.push(packet);
            } else {
                self.try_again(shared, transmitter, packet, now);
            }
        }
        self.watch(shared);
    }

    /// When to try again at the latest.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.pause.until).min()
    }

    fn try_again(
        &mut self,
        shared: &Shared,
        transmitter: &mut Transmitter,
        packet: HeldPacket,
        now: Instant,
    ) {
        if packet.transmit.is_outdated(shared.sequence.current()) {
            return packet.transmit.record_error();
        }
        packet.transmit.record_retry();
        let Err((transmit, error)) = transmitter.try_transmit(shared, packet.transmit) else {
            return;
        };
        if packet.until <= now {
            transmit.record_error();
        } else {
            shared.full.let_control_go_first(transmit.path().socket, now);
            let again = HeldPacket::new(transmit, &error, now);
            self.packets.push(HeldPacket { until: packet.until, ..again });
        }
    }

    /// Keeps few of each link, of which those that came first count: a link that takes nothing must not
    /// collect what a flood of pings is to be answered with.
    fn bound(&mut self, before: usize) {
        let link = |packet: &HeldPacket| (packet.transmit.host(), packet.transmit.link());
        let mut at = before;
        while let Some(packet) = self.packets.get(at) {
            let same = self.packets.iter().take(at).filter(|other| link(other) == link(packet));
            if same.count() < MAX_OF_LINK {
                at += 1;
            } else {
                self.packets.swap_remove(at).transmit.record_error();
            }
        }
    }

    /// Watches those sockets for room that say when they have some, and no others.
    fn watch(&mut self, shared: &Shared) {
        let told = self.packets.iter().filter(|packet| packet.pause.is_told);
        let mut wanted: Vec<SocketId> = told.map(|packet| packet.transmit.path().socket).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for &socket in wanted.iter().filter(|socket| !self.watched.contains(socket)) {
            set_interest(shared, socket, Interest::READ | Interest::WRITE);
        }
        for &socket in self.watched.iter().filter(|socket| !wanted.contains(socket)) {
            set_interest(shared, socket, Interest::READ);
        }
        self.watched = wanted;
    }
}

fn set_interest(shared: &Shared, id: SocketId, interest: Interest) {
    if let Some(socket) = shared.sockets.get(id) {
        // One that is being closed is not watched any more.
        let _ = shared.rx.poller.modify(&*socket, Token(id.0), interest);
    }
}

/// How long control packets wait: what they say does not stay true for long.
const PATIENCE: Duration = Duration::from_millis(50);
/// How many packets of one link wait at most.
const MAX_OF_LINK: usize = 8;

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

    use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, LinkStats, Received};
    use knet_poller::{Event, Events};
    use knet_transport::{Datagram, SendBatch};
    use knet_wire::{HostId, LinkId, Ping, Pmtu, SequenceNumber};

    use super::*;
    use crate::core::settings::Settings;

    const PEER: (HostId, LinkId) = (HostId::new(2), LinkId::ALL[0]);

    /// What a handle has without its threads, with a socket and a peer.
    pub(crate) struct Scene {
        pub(crate) shared: Shared,
        socket: SocketId,
        peer: UdpSocket,
        remote: SocketAddr,
    }

    impl Scene {
        pub(crate) fn new() -> Self {
            let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let remote = peer.local_addr().unwrap();
            Self::to(remote, peer)
        }

        fn to(remote: SocketAddr, peer: UdpSocket) -> Self {
            let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
            let settings = Settings { busy_poll: Duration::ZERO, wait_for_room: Duration::MAX };
            let engine = Engine::new(Instant::now(), &config);
            let shared = Shared::new(engine, &settings).unwrap();
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            let (socket, _) = shared.sockets.acquire(any, &shared.rx.poller).unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let path = LinkPath { socket, remote };
            shared.engine(|engine, now| {
                engine.add_host(PEER.0).unwrap();
                engine.add_link(now, PEER.0, PEER.1, path).unwrap();
                engine.set_link_enabled(now, PEER.0, PEER.1, true).unwrap();
                engine.handle_timeout(now);
            });
            Self { shared, socket, peer, remote }
        }

        /// A ping that found no room at this time.
        pub(crate) fn ping(&self, then: Instant) -> HeldPacket {
            self.held(self.first_ping(), then)
        }

        fn first_ping(&self) -> Transmit {
            let ping = self.shared.engine(|engine, _| engine.poll_transmit()).unwrap();
            assert!(ping.is_ping());
            ping
        }

        /// The answers to a ping and to a probe of the peer's.
        fn answers(&self) -> [Transmit; 2] {
            let (link, sequence) = (PEER.1, SequenceNumber::ZERO);
            let ping = Ping { link, cookie: [0; 16], sequence, timed: false }.encode_ping(PEER.0);
            let mut probe = [0; 50];
            Pmtu { link, onwire: [0; 2] }.encode_probe(PEER.0, &mut probe).unwrap();
            let arrival = DatagramMeta { socket: self.socket, source: self.remote };
            [&ping[..], &probe].map(|question| {
                self.shared.engine(|engine, now| {
                    assert!(matches!(
                        engine.handle_datagram(now, arrival, question),
                        Received::Consumed
                    ));
                    engine.poll_transmit().unwrap()
                })
            })
        }

        /// A packet that found no room at this time.
        fn held(&self, packet: Transmit, then: Instant) -> HeldPacket {
            // Any error of the socket's.
            let (payload, destination) = (&[0; 70_000], self.peer.local_addr().unwrap());
            let too_long = Datagram { header: &[], payload, destination, marking: None };
            let socket = self.shared.sockets.get(self.socket).unwrap();
            let error = socket.send(&mut SendBatch::new(1), &[too_long]).error.unwrap();
            HeldPacket::new(packet, &error, then)
        }

        /// What knet-rx is told of.
        fn events(&self) -> Vec<Event> {
            let mut events = Events::with_capacity(8);
            self.shared.rx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
            events.iter().collect()
        }

        fn stats(&self) -> LinkStats {
            let status = self.shared.query(|engine, now| engine.link_status(now, PEER.0, PEER.1));
            status.unwrap().stats
        }

        fn has_left(&self) {
            assert!(self.peer.recv(&mut [0; 100]).unwrap() > 0);
            let stats = self.stats();
            assert_eq!((stats.tx_ping_packets, stats.tx_ping_retries), (1, 1));
        }
    }

    #[test]
    fn answers_that_are_tried_again_count_by_kind() {
        let scene = Scene::new();
        let _ = scene.first_ping();
        let half_way = Instant::now() - PATIENCE / 2;
        for answer in scene.answers() {
            scene.shared.held.push(scene.held(answer, half_way));
        }
        Holding::default().work(&scene.shared, &mut Transmitter::default());
        let stats = scene.stats();
        assert_eq!((stats.tx_pong_packets, stats.tx_pong_retries), (1, 1));
        assert_eq!((stats.tx_pmtu_packets, stats.tx_pmtu_retries), (1, 1));
        assert_eq!((stats.tx_retries(), stats.tx_errors()), (2, 0));
    }

    /// In libknet pings count as sent that were not.
    #[test]
    fn what_the_kernel_refuses_is_an_error_of_its_kind_and_not_sent() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // `EACCES`: a socket has to say that it wants that.
        let scene = Scene::to((Ipv4Addr::BROADCAST, 9).into(), peer);
        let refused = |packet| {
            let mut transmitter = Transmitter::default();
            assert!(transmitter.try_transmit(&scene.shared, packet).is_ok(), "it does not wait");
            let stats = scene.stats();
            assert_eq!((stats.tx_packets(), stats.tx_retries()), (0, 0));
            (stats.tx_ping_errors, stats.tx_pong_errors, stats.tx_pmtu_errors)
        };
        assert_eq!(refused(scene.first_ping()), (1, 0, 0));
        let [pong, reply] = scene.answers();
        assert_eq!(refused(pong), (1, 1, 0));
        assert_eq!(refused(reply), (1, 1, 1));
    }

    #[test]
    fn a_packet_is_tried_again_long_before_it_is_given_up() {
        let scene = Scene::new();
        let mut holding = Holding::default();
        let half_way = Instant::now() - PATIENCE / 2;
        let packet = scene.ping(half_way);
        assert_eq!(packet.until, half_way + PATIENCE);
        scene.shared.held.push(packet);
        holding.work(&scene.shared, &mut Transmitter::default());
        assert_eq!(holding.next_try(), None, "it waits on");
        scene.has_left();
    }

    #[test]
    fn a_packet_leaves_as_soon_as_its_socket_has_room() {
        let scene = Scene::new();
        let mut holding = Holding::default();
        let mut transmitter = Transmitter::default();
        assert_eq!(scene.events(), []);
        let far = Instant::now() + Duration::from_secs(3600);
        let packet = scene.ping(far);
        scene.shared.held.push(packet);
        holding.work(&scene.shared, &mut transmitter);
        let next = holding.next_try().expect("it waits");
        assert!((far..far + PATIENCE / 2).contains(&next), "tried again though nobody tells");

        assert!(scene.events().iter().all(|event| event.writable) && !scene.events().is_empty());
        holding.has_room();
        holding.work(&scene.shared, &mut transmitter);
        scene.has_left();
        assert_eq!(scene.events(), [], "nobody waits for room any more");
    }
}
