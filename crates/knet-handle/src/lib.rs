//! The kronosnet handle: hosts, links and datafds over the engine and the transport, with two data
//! threads and a thread for notifications.
//!
//! This crate turns readiness into calls of the engine, and the engine's decisions into system calls. The
//! decisions of the protocol are in `knet-engine`, the sockets of links in `knet-transport`. No thread
//! wakes up on a fixed period, and no lock is held across a system call of the data path, a callback or
//! the filter. Applications use this crate through the facade `kronosnet`, whose documentation is a
//! guide.
//!
//! # Example
//!
//! A host that sends a message to itself over UDP:
//!
//! ```
//! use std::time::Duration;
//! use knet_handle::{
//!     ChannelRequest, DatafdSource, Error, Handle, HostId, LinkConfig, LinkId, PingTimers,
//! };
//!
//! # fn main() -> Result<(), Error> {
//! let handle = Handle::new(HostId::new(1))?;
//! let local = handle.bind(([127, 0, 0, 1], 0).into())?;
//! let config = LinkConfig {
//!     ping_timers: PingTimers { interval: Duration::from_millis(20), ..PingTimers::default() },
//!     pong_count: 1,
//!     ..LinkConfig::udp(local.addr(), local.addr())
//! };
//! let itself = handle.add_host(handle.host_id())?;
//! itself.add_link(LinkId::new(0)?, config)?.enable()?;
//! handle.set_forwarding(true)?;
//!
//! let problems = handle.datafd_events();
//! let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
//! itself.wait_until_reachable(Duration::from_secs(5))?;
//! assert_eq!(datafd.send(b"echo")?.hosts, 1);
//!
//! let mut buffer = [0; 16];
//! let length = loop {
//!     match datafd.recv(&mut buffer) {
//!         Err(Error::WouldBlock(_)) => std::thread::yield_now(),
//!         received => break received?,
//!     }
//! };
//! assert_eq!(&buffer[..length], b"echo");
//! assert!(problems.is_empty());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod api;
mod control;
mod core;
mod datafd_key;
mod datafds;
mod errno;
mod error;
mod event;
mod filter;
#[cfg(test)]
mod fixtures;
mod io;
mod link_transport;
mod link_zones;
mod log;
mod operation;
mod panic_gate;
mod panics;
mod release;
mod rx;
mod send_report;
mod tx;

pub use api::builder::HandleBuilder;
pub use api::datafd::{Datafd, DatafdState, DatafdStatus};
pub use api::event_stream::{EventStream, STREAM_CAPACITY};
pub use api::handle::Handle;
pub use api::handle_config::HandleConfig;
pub use api::host::Host;
pub use api::link::Link;
pub use api::link_config::{LinkConfig, LinkEnds};
pub use api::local_socket::LocalSocket;
pub use api::stats::{ClearStats, HandleStats};
pub use datafd_key::{DatafdId, DatafdKey};
pub use datafds::counters::ChannelStats;
pub use datafds::source::DatafdSource;
pub use error::{Destinations, Error};
pub use event::{DatafdEvent, DatafdProblem, Direction, Notification};
pub use filter::{FilterMessage, Verdict};
pub use link_transport::{Transport, TransportError};
pub use link_zones::LinkZones;
pub use operation::Operation;
pub use send_report::{NotSent, SendFailure, SendReport};

/// The crate whose errors and channels are in the signatures of [`EventStream`].
pub use crossbeam_channel;
pub use knet_channel::{
    Channel, ChannelRequest, ChannelSet, ChannelSetIter, InvalidChannel, ParseChannelError,
};
pub use knet_engine::{
    AclAction, AclEntry, AclEntryError, AclError, AddressEvent, AddressProblem, DownReason,
    DropStats, HostError, HostEvent, HostStats, HostStatus, InvalidPolicy, LinkChange, LinkError,
    LinkEvent, LinkKind, LinkState, LinkStats, LinkStatus, LinkTotals, MtuError, MtuEvent,
    PingTimers, PingTimersError, Policy, Rejection, RejectionReason, SocketId,
};
pub use knet_fd::{
    AccessMode, AccessModeError, FdKind, KindError, OsError, PairType, SocketDomain, SocketState,
    SocketType,
};
pub use knet_transport::{
    BindError, Dscp, DscpOutOfRange, InterfaceName, MarkError, QosMarking, ZoneError, ZonedAddr,
};
pub use knet_wire::{HostId, InvalidHostId, InvalidLinkId, LinkId, MAX_MESSAGE, ParseLinkIdError};

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
