//! Control packets that found no room in their socket. They are retried on knet-rx, which goes on with all
//! other sockets meanwhile, and go before the data packets that are blocked at the same socket.

use std::mem;
use std::time::Instant;

use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::io::control_queue::BlockedControl;
use crate::io::writable_watch::{PollerUse, WritableWatch};

/// The blocked control packets of a handle, in knet-rx.
#[derive(Debug)]
pub(crate) struct ControlRetry {
    packets: Vec<BlockedControl>,
    watch: WritableWatch,
    /// Whether a watched socket has room.
    has_room: bool,
}

impl Default for ControlRetry {
    fn default() -> Self {
        let watch = WritableWatch::new(PollerUse::Reading);
        Self { packets: Vec::new(), watch, has_room: false }
    }
}

impl ControlRetry {
    /// Takes note that the poller reports room in a socket.
    pub(crate) fn record_room(&mut self) {
        self.has_room = true;
    }

    /// Takes in the packets that found no room, and retries those that are due.
    pub(crate) fn work(&mut self, shared: &Shared, sender: &mut ControlSender) {
        let before = self.packets.len();
        shared.control_queue.take(&mut self.packets);
        if self.packets.is_empty() && self.watch.is_empty() {
            return;
        }
        self.bound(before);
        let now = Instant::now();
        let has_room = mem::take(&mut self.has_room);
        for packet in mem::take(&mut self.packets) {
            if !has_room && now < packet.retry_at.latest {
                self.packets.push(packet);
            } else {
                self.retry(shared, sender, packet, now);
            }
        }
        let watched = self.packets.iter().filter(|packet| packet.retry_at.when_writable);
        let watched = watched.map(|packet| packet.transmit.path().socket);
        self.watch.set(&shared.sockets, &shared.rx.poller, watched);
    }

    /// Returns when to retry at the latest.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.retry_at.latest).min()
    }

    fn retry(
        &mut self,
        shared: &Shared,
        sender: &mut ControlSender,
        packet: BlockedControl,
        now: Instant,
    ) {
        if packet.transmit.is_outdated(shared.sequence.current()) {
            return packet.transmit.record_error();
        }
        packet.transmit.record_retry();
        let Err((transmit, error)) = sender.try_send(shared, packet.transmit) else { return };
        if packet.expires <= now {
            transmit.record_error();
        } else {
            shared.backpressure.let_control_go_first(transmit.path().socket, now);
            self.packets.push(BlockedControl::again(transmit, &error, now, packet.expires));
        }
    }

    /// Keeps few packets per link, the oldest of them: a link that takes nothing must not collect the
    /// answers to a flood of pings.
    fn bound(&mut self, before: usize) {
        let link = |packet: &BlockedControl| (packet.transmit.host(), packet.transmit.link());
        let mut at = before;
        while let Some(packet) = self.packets.get(at) {
            let same = self.packets.iter().take(at).filter(|other| link(other) == link(packet));
            if same.count() < MAX_PER_LINK {
                at += 1;
            } else {
                self.packets.swap_remove(at).transmit.record_error();
            }
        }
    }
}

/// How many packets of one link are kept.
const MAX_PER_LINK: usize = 8;

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::time::Duration;

    use knet_engine::{
        DatagramMeta, Engine, EngineConfig, LinkPath, LinkStats, Received, SocketId, Transmit,
    };
    use knet_poller::{Event, Events};
    use knet_transport::{Datagram, SendBatch};
    use knet_wire::{HostId, LinkId, Ping, Pmtu, SequenceNumber};

    use super::*;
    use crate::core::settings::Settings;
    use crate::io::backpressure::CONTROL_TIMEOUT;

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
        pub(crate) fn ping(&self, then: Instant) -> BlockedControl {
            self.blocked(self.first_ping(), then)
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
        fn blocked(&self, packet: Transmit, then: Instant) -> BlockedControl {
            // Any error of the socket's.
            let (payload, destination) = (&[0; 70_000], self.peer.local_addr().unwrap());
            let too_long = Datagram { header: &[], payload, destination, marking: None };
            let socket = self.shared.sockets.get(self.socket).unwrap();
            let error = socket.send(&mut SendBatch::new(1), &[too_long]).error.unwrap();
            BlockedControl::new(packet, &error, then)
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
        let half_way = Instant::now() - CONTROL_TIMEOUT / 2;
        for answer in scene.answers() {
            scene.shared.control_queue.push(scene.blocked(answer, half_way));
        }
        ControlRetry::default().work(&scene.shared, &mut ControlSender::default());
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
            let mut sender = ControlSender::default();
            assert!(sender.try_send(&scene.shared, packet).is_ok(), "it does not wait");
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
        let mut retry = ControlRetry::default();
        let half_way = Instant::now() - CONTROL_TIMEOUT / 2;
        let packet = scene.ping(half_way);
        assert_eq!(packet.expires, half_way + CONTROL_TIMEOUT);
        scene.shared.control_queue.push(packet);
        retry.work(&scene.shared, &mut ControlSender::default());
        assert_eq!(retry.next_timeout(), None, "it waits on");
        scene.has_left();
    }

    #[test]
    fn a_packet_leaves_as_soon_as_its_socket_record_room() {
        let scene = Scene::new();
        let mut retry = ControlRetry::default();
        let mut sender = ControlSender::default();
        assert_eq!(scene.events(), []);
        let far = Instant::now() + Duration::from_secs(3600);
        let packet = scene.ping(far);
        scene.shared.control_queue.push(packet);
        retry.work(&scene.shared, &mut sender);
        let next = retry.next_timeout().expect("it waits");
        assert!(
            (far..far + CONTROL_TIMEOUT / 2).contains(&next),
            "tried again though nobody tells"
        );

        assert!(scene.events().iter().all(|event| event.writable) && !scene.events().is_empty());
        retry.record_room();
        retry.work(&scene.shared, &mut sender);
        scene.has_left();
        assert_eq!(scene.events(), [], "nobody waits for room any more");
    }
}
