//! The kronosnet protocol without I/O: hosts, links and their heartbeat, routes, the meaning of
//! received packets, duplicates, fragments and the path MTU.
//!
//! This crate opens no socket, starts no thread, takes no lock and reads no clock. Time is an
//! argument, packets come in as bytes and go out as values, so a whole cluster runs in one test in
//! virtual time. The wire format is that of libknet 1.x.
//!
//! # The driver's contract
//!
//! A *driver* owns an [`Engine`], the sockets and the clock. It repeats three steps: mutate, drain,
//! sleep.
//!
//! **Mutate.** Every method that takes `&mut self`, except the `poll_*` methods, is a mutation:
//!
//! | cause | mutation |
//! |---|---|
//! | a datagram arrived | [`Engine::handle_datagram`]; deliver what it returns, then [`Engine::recycle`] |
//! | a message could not be delivered | [`Engine::undelivered`], then [`Engine::handle_duplicate`] for its duplicates |
//! | the time of [`Engine::poll_timeout`] has come | [`Engine::handle_timeout`] |
//! | the kernel or a router reported an error | [`Engine::handle_transport_error`], [`Engine::handle_ping_refused`] |
//! | a packet was too long | [`Engine::handle_probe_refused`], [`Engine::handle_mtu_limit`], [`Engine::handle_mtu_suggestion`] |
//! | [`forced_ping_due`] returned `true` for a message | [`Engine::force_pings`], before the message is sent or soon after |
//! | the application changed the configuration | `add_*`, `remove_*`, `set_*`, `clear_*` |
//!
//! **Drain.** After a mutation, empty the outputs in this order. Several mutations may share one
//! drain, for example those of a batch of datagrams.
//!
//! 1. [`Engine::poll_routes`]: publish the new routes to the threads that send.
//! 2. [`Engine::poll_event`]: report the events to the application. Routes come first so that an
//!    application that learns from an event that a host is reachable can send to it at once.
//! 3. [`Engine::poll_transmit`]: send the control packets, and record the outcome of each
//!    ([`Transmit::record_sent`], [`Transmit::record_error`]). To report an error to the engine is
//!    a mutation: drain again.
//!
//! **Sleep** until a datagram arrives, the application calls, or the time of
//! [`Engine::poll_timeout`] has come. Ask for that time after each drain, because every mutation
//! can change it. `None` means that no timer runs. Call [`Engine::handle_timeout`] when the time
//! has come even if datagrams keep arriving, or load starves the heartbeat.
//!
//! Time must not go backwards between calls. If it does, timers fire late, and nothing worse
//! happens. A driver that did not run for a while calls [`Engine::handle_timeout`] first; no link
//! goes down for the time in which the driver did not run.
//!
//! **Messages are sent without the engine**, in any thread and without its lock: look up the
//! [`Routes`], number the message with the [`SequenceCounter`], and cut it for each host with a
//! [`FragmentPlan`]. A packet that waits for room in its socket may expire meanwhile: see
//! [`PacketAge`] and [`Transmit::is_outdated`].
//!
//! # A complete driver
//!
//! Two hosts on real sockets. Host 2 sends messages as soon as it can reach host 1.
//!
//! ```
//! use std::io::ErrorKind::{TimedOut, WouldBlock};
//! use std::net::UdpSocket;
//! use std::time::{Duration, Instant};
//!
//! use knet_engine::{
//!     DatagramMeta, Engine, EngineConfig, FragmentPlan, LinkPath, PacketKind, PingTimers, Received,
//!     Routes, SocketId, forced_ping_due,
//! };
//! use knet_wire::{DataHeader, HostId, LinkId};
//!
//! const SOCKET: SocketId = SocketId(0);
//!
//! struct Driver {
//!     engine: Engine,
//!     socket: UdpSocket,
//!     routes: Routes,
//! }
//!
//! impl Driver {
//!     /// Empties the outputs of the engine.
//!     fn drain(&mut self) {
//!         if let Some(routes) = self.engine.poll_routes() {
//!             self.routes = routes;
//!         }
//!         while let Some(event) = self.engine.poll_event() {
//!             println!("host {}: {event:?}", self.engine.own_id());
//!         }
//!         while let Some(transmit) = self.engine.poll_transmit() {
//!             let packet = [transmit.packet(), &vec![0; transmit.padding_len()]].concat();
//!             match self.socket.send_to(&packet, transmit.path().remote) {
//!                 Ok(length) => transmit.record_sent(length),
//!                 Err(_) if transmit.probe_size().is_some() => {
//!                     let (host, link) = (transmit.host(), transmit.link());
//!                     let size = transmit.probe_size().unwrap_or_default();
//!                     self.engine.handle_probe_refused(Instant::now(), host, link, size);
//!                     return self.drain();
//!                 }
//!                 Err(_) => transmit.record_error(),
//!             }
//!         }
//!     }
//!
//!     /// Sleeps until something happens. Returns a message if one arrived.
//!     fn step(&mut self) -> std::io::Result<Option<Vec<u8>>> {
//!         let mut buffer = vec![0; 65_536];
//!         let due = self.engine.poll_timeout();
//!         let sleep = due.map(|due| due.saturating_duration_since(Instant::now()));
//!         let sleep = sleep.map(|sleep| sleep.max(Duration::from_micros(1)));
//!         self.socket.set_read_timeout(sleep)?;
//!         let mut message = None;
//!         match self.socket.recv_from(&mut buffer) {
//!             Ok((length, source)) => {
//!                 let meta = DatagramMeta { socket: SOCKET, source, local: None };
//!                 let datagram = &buffer[..length];
//!                 match self.engine.handle_datagram(Instant::now(), meta, datagram) {
//!                     Received::Message(_, bytes) => message = Some(datagram[bytes].to_vec()),
//!                     Received::Reassembled(_, whole) => {
//!                         message = Some(whole.bytes().to_vec());
//!                         self.engine.recycle(whole);
//!                     }
//!                     _ => {}
//!                 }
//!             }
//!             Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => {}
//!             Err(error) => return Err(error),
//!         }
//!         let now = Instant::now();
//!         if due.is_some_and(|due| due <= now) {
//!             self.engine.handle_timeout(now);
//!         }
//!         self.drain();
//!         Ok(message)
//!     }
//!
//!     /// Sends a message to all reachable hosts.
//!     fn broadcast(&mut self, message: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//!         let sequence = self.engine.sequence().next();
//!         if forced_ping_due(sequence) {
//!             self.engine.force_pings(Instant::now());
//!             self.drain();
//!         }
//!         for host in self.routes.hosts() {
//!             let plan = FragmentPlan::new(message.len(), host.data_mtu())?;
//!             for (_, link) in host.links_of_next_message() {
//!                 let Some(path) = link.path else { continue };
//!                 for (fragment, part) in plan.iter() {
//!                     let (compression, broadcast, channel) = (0, true, 0);
//!                     let header =
//!                         DataHeader { sequence, compression, broadcast, fragment, channel };
//!                     let header = header.encode(self.engine.own_id());
//!                     let packet = [&header[..], &message[part]].concat();
//!                     let length = self.socket.send_to(&packet, path.remote)?;
//!                     link.counters.record_sent(PacketKind::Data, 1, length as u64);
//!                 }
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
//! let addresses = [sockets[0].local_addr()?, sockets[1].local_addr()?];
//! let hosts = [HostId::new(1), HostId::new(2)];
//! let link = LinkId::new(0)?;
//! let quick = PingTimers { interval: Duration::from_millis(10), ..PingTimers::default() };
//! let mut drivers = Vec::new();
//! for (at, socket) in sockets.into_iter().enumerate() {
//!     let (now, peer) = (Instant::now(), hosts[1 - at]);
//!     // Take the key from the system's random numbers.
//!     let config = EngineConfig { host: hosts[at], cookie_key: [at as u8; 16] };
//!     let mut engine = Engine::new(now, &config);
//!     engine.add_host(peer)?;
//!     let path = LinkPath { socket: SOCKET, remote: addresses[1 - at] };
//!     engine.add_link(now, peer, link, path)?;
//!     engine.set_ping_timers(now, peer, link, quick)?;
//!     engine.set_link_enabled(now, peer, link, true)?;
//!     let mut driver = Driver { engine, socket, routes: Routes::default() };
//!     driver.drain();
//!     drivers.push(driver);
//! }
//!
//! let (mut two, mut one) = (drivers.pop().unwrap(), drivers.pop().unwrap());
//! std::thread::spawn(move || {
//!     while two.step().is_ok() {
//!         if !two.routes.is_empty() {
//!             two.broadcast(b"hello").unwrap();
//!         }
//!     }
//! });
//! loop {
//!     if let Some(message) = one.step()? {
//!         assert_eq!(message, b"hello");
//!         break;
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In virtual time the same loop needs no sockets and no waiting: see [`Engine`].

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod config;
pub use config::{
    DEFAULT_MTU_INTERVAL, DEFAULT_PONG_COUNT, EngineConfig, InvalidPolicy, LinkPath, MAX_HOST_NAME,
    PacketTag, PingTimers, Policy, SocketId,
};
mod cookie;
mod engine;
pub use engine::{DatagramMeta, Delivery, DeliveryToken, Engine, Received, Transmit};
mod errno;
mod error;
pub use error::{AddressProblem, HostError, LinkError, MtuError, PingTimersError};
mod event;
pub use event::{AddressEvent, DownReason, Event, HostEvent, LinkEvent, LinkState, MtuEvent};
mod event_text;
mod host;
pub use host::{HostStats, HostStatus, ReassembledMessage};
mod link;
pub use link::{
    AclAction, AclEntry, AclEntryError, AclError, DynamicPeer, LinkChange, LinkKind, LinkPeer,
    LinkStatus,
};
mod rejection;
pub use rejection::{Rejection, RejectionReason};
mod send;
pub use send::{
    FragmentPlan, HostRoute, LinkRoute, MAX_SEQUENCE_LAG, PacketAge, Routes, SequenceCounter,
    TooManyFragments, WaitingCopy, forced_ping_due, renumber,
};
mod stats;
pub use stats::{DropStats, LinkCounters, LinkStats, LinkTotals, PacketKind};
mod timers;
