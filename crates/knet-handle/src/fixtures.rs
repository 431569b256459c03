//! Handles, and parts of them, that the tests of several rooms begin with.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use knet_engine::{
    DatagramMeta, Engine, EngineConfig, LinkPath, LinkStats, Received, SocketId, Transmit,
};
use knet_poller::{Event, Events};
use knet_wire::{Body, DataHeader, Fragment, HostId, LinkId, Packet, Ping, Pmtu, SequenceNumber};

use crate::core::settings::Settings;
use crate::core::shared::Shared;
use crate::io::backpressure::NoRoom;
use crate::io::control_queue::BlockedControl;
use crate::{Handle, LinkConfig, PingTimers};

/// After how long a test that waits has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The header of a message that is one packet, before it has a number.
pub(crate) const HEADER: DataHeader = DataHeader {
    sequence: SequenceNumber::ZERO,
    compression: 0,
    broadcast: true,
    fragment: Fragment::Whole,
    channel: 0,
};

/// Returns a handle with a link to itself and without knet-tx, and that link's socket.
pub(crate) fn to_itself() -> (Handle, SocketId) {
    linked_to_itself(Handle::without_tx())
}

/// Returns a handle with this send timeout and a link to itself, and that link's socket.
pub(crate) fn to_itself_with(send_timeout: Duration) -> (Handle, SocketId) {
    let handle = Handle::builder(HostId::new(1)).send_timeout(send_timeout).build().unwrap();
    linked_to_itself(handle)
}

fn linked_to_itself(handle: Handle) -> (Handle, SocketId) {
    let here = handle.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap().addr();
    let itself = handle.add_host(handle.host_id()).unwrap();
    let link = itself.add_link(LinkId::ALL[0], LinkConfig::udp(here, here)).unwrap();
    let interval = Duration::from_millis(20);
    link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    itself.wait_until_reachable(DEADLINE).unwrap();
    handle.set_forwarding(true).unwrap();
    let _ = handle.datafd_events();
    (handle, link.status().unwrap().socket.unwrap())
}

const PEER: (HostId, LinkId) = (HostId::new(2), LinkId::ALL[0]);

/// What a handle shares with its threads, but no threads; it has a socket and a peer.
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

    pub(crate) fn to(remote: SocketAddr, peer: UdpSocket) -> Self {
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let settings = Settings { busy_poll: Duration::ZERO, send_timeout: Duration::MAX };
        let engine = Engine::new(Instant::now(), &config);
        let shared = Shared::new(engine, &settings).unwrap();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let (socket, _) = shared.sockets.acquire(any, &shared.rx.poller).unwrap();
        peer.set_read_timeout(Some(DEADLINE)).unwrap();
        let path = LinkPath { socket, remote };
        shared.engine(|engine, now| {
            engine.add_host(PEER.0).unwrap();
            engine.add_link(now, PEER.0, PEER.1, path).unwrap();
            engine.set_link_enabled(now, PEER.0, PEER.1, true).unwrap();
            engine.handle_timeout(now);
        });
        Self { shared, socket, peer, remote }
    }

    /// Returns a ping that found no room at this time.
    pub(crate) fn ping(&self, then: Instant) -> BlockedControl {
        self.blocked(self.first_ping(), then)
    }

    pub(crate) fn first_ping(&self) -> Transmit {
        let ping = self.shared.engine(|engine, _| engine.poll_transmit()).unwrap();
        assert!(ping.is_ping());
        ping
    }

    /// Brings the link up. Returns the first probe of its path MTU.
    pub(crate) fn first_probe(&self) -> Transmit {
        loop {
            let transmit = self.shared.engine(|engine, now| {
                engine.handle_timeout(now);
                engine.poll_transmit()
            });
            let Some(transmit) = transmit else { continue };
            if transmit.probe_size().is_some() {
                return transmit;
            }
            let packet = Packet::decode(transmit.packet()).unwrap();
            let Body::Ping(ping) = packet.body else { continue };
            let pong = ping.encode_pong(PEER.0);
            let meta = DatagramMeta { socket: self.socket, source: self.remote, local: None };
            self.shared.engine(|engine, now| {
                engine.set_pong_count(PEER.0, PEER.1, 1).unwrap();
                assert!(matches!(engine.handle_datagram(now, meta, &pong), Received::Consumed));
            });
        }
    }

    /// Adds enabled links to the peer over the same socket.
    pub(crate) fn add_links(&self, number: usize) {
        self.shared.engine(|engine, now| {
            for &link in LinkId::ALL.iter().skip(1).take(number) {
                let port = self.remote.port() ^ u16::from(link.get());
                let remote = SocketAddr::new(self.remote.ip(), port);
                let path = LinkPath { socket: self.socket, remote };
                engine.add_link(now, PEER.0, link, path).unwrap();
                engine.set_link_enabled(now, PEER.0, link, true).unwrap();
            }
            engine.handle_timeout(now);
        });
    }

    /// Has the next sends fail with these numbers; `None` is a send that the kernel decides about.
    pub(crate) fn script(&self, sends: &[Option<i32>]) {
        let socket = self.shared.sockets.get(self.socket).unwrap();
        socket.script.lock().sends = sends.iter().copied().collect();
    }

    /// Returns the answers to a ping and to a probe of the peer.
    pub(crate) fn answers(&self) -> [Transmit; 2] {
        let (link, sequence) = (PEER.1, SequenceNumber::ZERO);
        let ping = Ping { link, cookie: [0; 16], sequence, timed: false }.encode_ping(PEER.0);
        let mut probe = [0; 50];
        Pmtu { link, cookie: [0; 2] }.encode_probe(PEER.0, &mut probe).unwrap();
        let meta = DatagramMeta { socket: self.socket, source: self.remote, local: None };
        [&ping[..], &probe].map(|question| {
            self.shared.engine(|engine, now| {
                assert!(matches!(engine.handle_datagram(now, meta, question), Received::Consumed));
                engine.poll_transmit().unwrap()
            })
        })
    }

    /// Blocks a packet as if it had found no room at this time.
    pub(crate) fn blocked(&self, packet: Transmit, then: Instant) -> BlockedControl {
        BlockedControl::new(packet, NoRoom::Socket, then)
    }

    /// Returns the socket of the handle.
    pub(crate) fn socket(&self) -> SocketId {
        self.socket
    }

    /// Returns the address of the handle's socket.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.shared.sockets.local_addr(self.socket).unwrap()
    }

    /// Sends a datagram from the peer.
    pub(crate) fn receive(&self, datagram: &[u8]) {
        assert_eq!(self.peer.send_to(datagram, self.addr()).unwrap(), datagram.len());
    }

    /// Sends a message from the peer.
    pub(crate) fn receive_message(&self, number: u16) {
        self.message_sender()(number);
    }

    /// Returns what sends the message with a number from the peer, wherever it is called.
    pub(crate) fn message_sender(&self) -> impl Fn(u16) + use<> {
        let (peer, destination) = (self.peer.try_clone().unwrap(), self.addr());
        move |number| {
            let header = DataHeader { sequence: SequenceNumber::new(number), ..HEADER };
            let datagram = [&header.encode(PEER.0)[..], b"message"].concat();
            assert_eq!(peer.send_to(&datagram, destination).unwrap(), datagram.len());
        }
    }

    /// Returns `true` if knet-rx was woken since the last call.
    pub(crate) fn is_rx_woken(&self) -> bool {
        let mut events = Events::with_capacity(8);
        self.shared.rx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.woken()
    }

    /// Returns what the poller of knet-rx reports.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Events::with_capacity(8);
        self.shared.rx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().collect()
    }

    pub(crate) fn stats(&self) -> LinkStats {
        let status = self.shared.query(|engine, now| engine.link_status(now, PEER.0, PEER.1));
        status.unwrap().stats
    }

    /// Returns the statistics of all links.
    pub(crate) fn all_stats(&self) -> Vec<LinkStats> {
        let status = |link| self.shared.query(|engine, now| engine.link_status(now, PEER.0, link));
        LinkId::ALL.iter().filter_map(|&link| Some(status(link).ok()?.stats)).collect()
    }

    pub(crate) fn assert_sent_after_a_retry(&self) {
        assert!(self.peer.recv(&mut [0; 100]).unwrap() > 0);
        let stats = self.stats();
        assert_eq!((stats.tx_ping_packets, stats.tx_ping_retries), (1, 1));
    }
}
