//! Everything the kronosnet protocol decides: hosts, links and their heartbeat, which links data
//! takes, what a received packet means, which copies are dropped, how messages are cut into
//! fragments and put together again.
//!
//! This crate does no I/O: it opens no socket, starts no thread, takes no lock and reads no clock.
//! Time comes in as an argument, packets come in as bytes and go out as values, so a whole cluster
//! runs in one test in virtual time. The wire format is that of libknet 1.x.
//!
//! # The driver's contract
//!
//! - Give every datagram that a link's socket receives to [`Engine::handle_datagram`].
//! - When the time of [`Engine::poll_timeout`] has come, call [`Engine::handle_timeout`].
//! - After each call that takes `&mut self`, drain the output: send what
//!   [`Engine::poll_transmit`] gives, tell the application what [`Engine::poll_event`] gives, send
//!   by the routes that [`Engine::poll_routes`] gives, and ask [`Engine::poll_timeout`] again.
//! - Say what the kernel says: [`Engine::handle_transport_error`] when a peer cannot be reached,
//!   [`Engine::handle_probe_refused`] and [`Engine::handle_mtu_limit`] when a packet is too long,
//!   [`Engine::handle_mtu_suggestion`] when a router finds so.
//! - Data is sent without the engine: number each message with the [`SequenceCounter`], look its
//!   hosts up in the [`Routes`], cut it with a [`FragmentPlan`]. When [`forced_ping_due`] says so,
//!   call [`Engine::force_pings`] first.
//!
//! Time must not go backwards between calls; if it does, nothing worse happens than that timers
//! fire late.
//!
//! # Example
//!
//! Two engines, a link between them, and packets carried by hand:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
//! use knet_wire::{HostId, LinkId};
//!
//! let (one, two) = (HostId::new(1), HostId::new(2));
//! let link = LinkId::new(0)?;
//! let mut now = Instant::now();
//! let mut engines = [one, two].map(|host| Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] }));
//! let addresses = ["10.0.0.1:5405".parse()?, "10.0.0.2:5405".parse()?];
//! for (at, peer) in [(0, two), (1, one)] {
//!     let path = LinkPath { socket: SocketId(0), remote: addresses[1 - at] };
//!     engines[at].add_host(peer)?;
//!     engines[at].add_link(now, peer, link, path)?;
//!     engines[at].set_link_enabled(now, peer, link, true)?;
//! }
//! while !engines.iter().all(|engine| engine.data_mtu() > 1000) {
//!     for at in [0, 1] {
//!         engines[at].handle_timeout(now);
//!         while let Some(transmit) = engines[at].poll_transmit() {
//!             let arrival = DatagramMeta { socket: SocketId(0), source: addresses[at] };
//!             // A probe of the path MTU is filled up with zeros.
//!             let datagram = [transmit.packet(), &vec![0; transmit.padding_len()]].concat();
//!             let _ = engines[1 - at].handle_datagram(now, arrival, &datagram);
//!             transmit.record_sent(datagram.len());
//!         }
//!     }
//!     now += Duration::from_millis(100);
//! }
//! let routes = engines[0].poll_routes().expect("host 2 became reachable");
//! assert_eq!(routes.get(two).expect("reachable").data_mtu(), 65_481);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod config;
pub use config::{
    DEFAULT_PONG_COUNT, EngineConfig, LinkPath, MAX_HOST_NAME, PacketTag, PingTimers, Policy,
    SocketId,
};
mod cookie;
mod engine;
pub use engine::{DatagramMeta, Delivery, DeliveryToken, Engine, Received, Transmit};
mod errno;
mod error;
pub use error::{HostError, LinkError, MtuError, PingTimersError};
mod event;
pub use event::{DownReason, Event, HostEvent, LinkEvent, LinkState, MtuEvent};
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
