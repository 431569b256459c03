//! The kronosnet handle: hosts, links and datafds over the engine and the transport, with two data
//! threads and a thread for notifications.
//!
//! This crate turns readiness into engine calls and engine decisions into system calls. What the
//! protocol decides is in `knet-engine`; how packets reach the wire is in `knet-transport`.
//! Nothing here polls on a fixed period, and no lock is held across a system call of the data path,
//! a callback or the filter. Applications use it through the facade `kronosnet`, whose
//! documentation is a guide.
//!
//! # Example
//!
//! A host that talks to itself over UDP:
//!
//! ```
//! use std::time::Duration;
//! use knet_handle::{
//!     ChannelRequest, DatafdSource, Error, Handle, HostId, LinkConfig, LinkId, PingTimers,
//! };
//!
//! # fn main() -> Result<(), Error> {
//! let handle = Handle::new(HostId::new(1))?;
//! let here = handle.bind(([127, 0, 0, 1], 0).into())?;
//! let itself = handle.add_host(handle.host_id())?;
//! let link = itself.add_link(LinkId::new(0)?, LinkConfig::udp(here.addr(), here.addr()))?;
//! link.set_ping_timers(PingTimers { interval: Duration::from_millis(20), ..Default::default() })?;
//! link.set_pong_count(1)?;
//! link.enable()?;
//! handle.set_forwarding(true)?;
//!
//! let problems = handle.datafd_events();
//! let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
//! itself.wait_reachable(Duration::from_secs(5))?;
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

mod access;
mod adding;
mod builder;
pub use builder::HandleBuilder;
mod channels;
pub use channels::ChannelStats;
mod control;
mod datafd;
pub use datafd::{Datafd, DatafdSource, DatafdState, DatafdStatus};
mod deliver;
mod dispatch;
mod endpoint;
pub use endpoint::Endpoint;
mod errno;
mod error;
mod errors;
pub use error::{Destinations, Error};
mod event;
pub use event::{DatafdEvent, DatafdProblem, Direction, Notification};
mod filter;
pub use filter::{FilterMessage, Verdict};
mod full;
mod handle;
pub use handle::Handle;
mod held;
mod host;
pub use host::Host;
mod incoming;
mod link;
pub use link::Link;
mod link_config;
pub use link_config::LinkConfig;
mod loopback;
mod marking;
mod notify;
pub use notify::{EventStream, STREAM_CAPACITY};
mod portion;
mod receive;
mod report;
pub use report::{NotSent, SendFailure, SendReport};
mod rx;
mod shared;
mod sockets;
mod stats;
pub use stats::{ClearStats, HandleStats};
mod stream;
mod subscribe;
mod suspended;
mod threads;
mod transmit;
mod transport;
pub use transport::{Transport, TransportError};
mod tx;
mod unused;
mod waiting;
mod worker;

pub use knet_channel::{Channel, ChannelRequest, ChannelSet, InvalidChannel};
pub use knet_engine::{
    AclAction, AclEntry, AclEntryError, AclError, DownReason, DropStats, HostError, HostEvent,
    HostStats, HostStatus, LinkChange, LinkError, LinkEvent, LinkKind, LinkState, LinkStats,
    LinkStatus, LinkTotals, MtuError, MtuEvent, PingTimers, PingTimersError, Policy,
};
pub use knet_transport::{BindError, Dscp, DscpOutOfRange, Marking};
pub use knet_wire::{HostId, InvalidLinkId, LinkId, MAX_MESSAGE};
