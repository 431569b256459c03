//! A memory-safe [kronosnet](https://kronosnet.org) for Linux: redundant, monitored links between the
//! hosts of a cluster, behind plain file descriptors.
//!
//! An application adds a file descriptor, a *datafd*, to a [`Handle`] for one of 32 channels. What it
//! writes there comes out of the datafd of the same channel on the other hosts. Up to eight links lead to
//! each host, with failure detection, failover, path MTU discovery, fragmentation and duplicate
//! detection. The packets are those of libknet 1.x.
//!
//! This crate combines the layers below, which can also be used alone: `knet-channel` (channel numbers),
//! `knet-fd` (descriptors), `knet-poller` (epoll), `knet-wire` (packets), `knet-engine` (the protocol
//! without I/O) and `knet-transport` (UDP in batches).
//!
//! # Guide
//!
//! The examples below are parts of one program, which plays both hosts of a cluster, so that it runs
//! anywhere.
//!
//! ## Handles
//!
//! A [`Handle`] is a host's place in the cluster. It is cheap to clone and may be used from any thread.
//! When the last clone is dropped, its threads stop and everything that it opened is closed.
//! [`Handle::close`] returns once all of that is done.
//!
//! ```
//! use kronosnet::{Handle, HostId};
//! # fn main() -> Result<(), kronosnet::Error> {
//!
//! let one = Handle::new(HostId::new(1))?;
//! let two = Handle::new(HostId::new(2))?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Handle::with_config`] takes settings, which are described in [`HandleConfig`].
//!
//! ## Hosts and links
//!
//! Each host adds the others, and its links to them. A link connects two UDP addresses; both ends must
//! give it the same [`LinkId`]. Addresses are usually known beforehand. Where they are not,
//! [`Handle::bind`] opens a socket with a port that the kernel picks.
//!
//! ```
//! # use kronosnet::{Handle, HostId};
//! use std::time::Duration;
//! use kronosnet::{LinkConfig, LinkId, PingTimers};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//! # let two = Handle::new(HostId::new(2))?;
//!
//! let here = one.bind(([127, 0, 0, 1], 0).into())?;
//! let there = two.bind(([127, 0, 0, 1], 0).into())?;
//!
//! let interval = Duration::from_millis(50);
//! for (handle, peer, local, remote) in
//!     [(&one, two.host_id(), &here, &there), (&two, one.host_id(), &there, &here)]
//! {
//!     let config = LinkConfig {
//!         ping_timers: PingTimers { interval, ..PingTimers::default() },
//!         pong_count: 2,
//!         ..LinkConfig::udp(local.addr(), remote.addr())
//!     };
//!     let host = handle.add_host(peer)?;
//!     host.add_link(LinkId::new(0)?, config)?.enable()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Enabling a link starts its heartbeat. The link comes up once `pong_count` pings were answered in time,
//! and a host is reachable while one of its links is up. [`Host::wait_until_reachable`] blocks until then;
//! after its timeout it returns an error with the state of each link.
//!
//! ```
//! # use std::time::Duration;
//! # use kronosnet::{Handle, HostId, LinkConfig, LinkId};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//! let host = one.add_host(HostId::new(3))?;
//! let nobody = ([127, 0, 0, 1], 9).into();
//! host.add_link(LinkId::new(0)?, LinkConfig::udp(([127, 0, 0, 1], 0).into(), nobody))?.enable()?;
//!
//! let error = host.wait_until_reachable(Duration::from_millis(50)).unwrap_err();
//! assert!(error.to_string().starts_with("host 3 is not reachable: link 0 is down: "));
//! # Ok(())
//! # }
//! ```
//!
//! ### Peers with unknown addresses
//!
//! [`LinkConfig::udp_dynamic`] configures a link that learns the address of its peer from the peer's
//! packets, and follows it when it changes. Only addresses that the link's access list accepts are
//! considered: the first matching entry decides, and an empty list accepts none.
//!
//! ```
//! # use kronosnet::{Handle, HostId, LinkConfig, LinkId};
//! use std::net::IpAddr;
//! use kronosnet::{AclAction, AclEntry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let one = Handle::new(HostId::new(1))?;
//! # let here = ([127, 0, 0, 1], 0).into();
//! let (network, mask) = (IpAddr::from([10, 1, 0, 0]), IpAddr::from([255, 255, 0, 0]));
//! let config = LinkConfig {
//!     acl: vec![
//!         AclEntry::address(AclAction::Reject, [10, 1, 0, 66].into()),
//!         AclEntry::mask(AclAction::Accept, network, mask)?,
//!     ],
//!     ..LinkConfig::udp_dynamic(here)
//! };
//! let link = one.add_host(HostId::new(4))?.add_link(LinkId::new(0)?, config)?;
//! link.enable()?;
//! assert!(!link.status()?.peer_known);
//! # Ok(())
//! # }
//! ```
//!
//! Messages to the own host need a [`LinkConfig::loopback`] link, which must be the only link to it.
//!
//! ## Datafds
//!
//! [`Handle::add_datafd`] takes a descriptor of the application, or creates a pair of sockets and returns
//! one end. A datafd can fail in ways that the application must handle (its peer closes, its reader falls
//! behind), so its events must be subscribed to before one is added.
//!
//! ```
//! # use std::time::Duration;
//! # use kronosnet::{Handle, HostId, LinkConfig, LinkId, PingTimers};
//! use kronosnet::{ChannelRequest, DatafdSource};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//! # let two = Handle::new(HostId::new(2))?;
//! # let here = one.bind(([127, 0, 0, 1], 0).into())?;
//! # let there = two.bind(([127, 0, 0, 1], 0).into())?;
//! # let interval = Duration::from_millis(50);
//! # for (handle, peer, local, remote) in
//! #     [(&one, two.host_id(), &here, &there), (&two, one.host_id(), &there, &here)]
//! # {
//! #     let config = LinkConfig {
//! #         ping_timers: PingTimers { interval, ..PingTimers::default() },
//! #         pong_count: 2,
//! #         ..LinkConfig::udp(local.addr(), remote.addr())
//! #     };
//! #     handle.add_host(peer)?.add_link(LinkId::new(0)?, config)?.enable()?;
//! # }
//! let problems = [one.datafd_events(), two.datafd_events()];
//! let from = one.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
//! let to = two.add_datafd(DatafdSource::Create, ChannelRequest::Exact(from.channel()))?;
//!
//! // Messages are sent and received only while forwarding is on.
//! for handle in [&one, &two] {
//!     handle.set_forwarding(true)?;
//! }
//! one.host(HostId::new(2))?.wait_until_reachable(Duration::from_secs(5))?;
//! two.host(HostId::new(1))?.wait_until_reachable(Duration::from_secs(5))?;
//!
//! let report = from.send(b"hello")?;
//! assert_eq!(report.hosts, 1);
//!
//! let mut buffer = [0; 100];
//! let length = loop {
//!     match to.recv(&mut buffer) {
//!         // A real program polls `to`, which is `AsFd`: see the example `datafd_epoll`.
//!         Err(kronosnet::Error::WouldBlock(_)) => std::thread::yield_now(),
//!         other => break other?,
//!     }
//! };
//! assert_eq!(&buffer[..length], b"hello");
//! assert!(problems.iter().all(|problems| problems.is_empty()));
//! # Ok(())
//! # }
//! ```
//!
//! [`Datafd::send`] runs in the caller's thread and returns a [`SendReport`]: which hosts the message was
//! sent to, and why not to the others. Writing to the descriptor does the same in batches on one of the
//! handle's threads, without a result; outcomes are counted in [`Handle::channel_stats`].
//!
//! ## Filters
//!
//! Without a filter, every message goes to every reachable host. A filter is called with each message that
//! is sent or received. It can name destinations, reject the message, or move it to another channel.
//!
//! ```
//! # use kronosnet::{Handle, HostId};
//! use kronosnet::{Direction, Verdict};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//!
//! one.set_filter(|message| match message.direction() {
//!     // The first byte names the destination.
//!     Direction::Tx => {
//!         message.add_destination(HostId::new(message.payload()[0].into()));
//!         Verdict::Destinations
//!     }
//!     Direction::Rx => Verdict::Broadcast,
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! ## Events
//!
//! Events of links, hosts, datafds and the path MTU are reported to callbacks and to streams, which
//! [`crossbeam_channel::select!`] can wait for ([`EventStream::ready`]). Callbacks run on a thread of their own, with no lock held:
//! they may call any method.
//!
//! ```
//! # use kronosnet::{Handle, HostId};
//! use kronosnet::Notification;
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//!
//! let links = one.link_events();
//! one.on_host_event(|handle, Notification { event, .. }| {
//!     if !event.reachable {
//!         println!("lost host {}, {} are left", event.host, handle.hosts().len() - 1);
//!     }
//! });
//! assert!(links.try_recv().is_err());
//! # Ok(())
//! # }
//! ```
//!
//! Events are reported in the order in which they happened: a link first, then its host, then the path
//! MTU. A status that is read after an event is at least as recent as the event. A reader or callback that falls
//! far behind misses events, is informed how many, and still gets the last one of each link and host.
//!
//! ## Statistics
//!
//! [`Handle::stats`] returns totals; [`Host::status`], [`Link::status`] and [`Handle::channel_stats`]
//! return the details. A link keeps a history of when it went up and down, and why. Reading does not
//! disturb the data path, and [`Handle::clear_stats`] resets the counters.
//!
//! ```
//! # use kronosnet::{Handle, HostId, LinkConfig, LinkId};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//! # let host = one.add_host(HostId::new(2))?;
//! # let nobody = ([127, 0, 0, 1], 9).into();
//! # let local = ([127, 0, 0, 1], 0).into();
//! # host.add_link(LinkId::new(0)?, LinkConfig::udp(local, nobody))?;
//! let totals = one.stats().totals;
//! println!("{} of {} links are up", totals.usable_links, totals.links);
//! for id in host.links()? {
//!     let status = host.link(id)?.status()?;
//!     println!("link {id} is {}, {} packets sent", status.state, status.stats.tx_packets());
//!     if let Some(latency) = status.latency {
//!         println!("pongs arrive after {latency:?}");
//!     }
//!     for change in &status.history {
//!         println!("{:?} ago: {}", change.age, change.state);
//!     }
//! }
//! # assert_eq!((totals.usable_links, totals.links), (0, 1));
//! # Ok(())
//! # }
//! ```
//!
//! ## Errors
//!
//! Every call returns one [`Error`], which describes what is wrong and what to do. [`Error::errno`] returns the
//! value of libknet, for programs that are ported from C; `docs/porting.md` lists the calls of libknet
//! with their counterparts.
//!
//! # Examples
//!
//! `cargo run -p kronosnet --example two_hosts`, and likewise `datafd_epoll` (an application that polls
//! its datafd), `filter` (unicast and moved channels) and `events` (waiting for several streams at once).

#![forbid(unsafe_code)]

pub mod prelude;

#[doc(no_inline)]
pub use knet_handle::crossbeam_channel;

// The handle and its settings.
#[doc(inline)]
pub use knet_handle::{Handle, HandleBuilder, HandleConfig, HostId, LocalSocket};

// Hosts and links.
#[doc(inline)]
pub use knet_handle::{
    DownReason, Host, HostStatus, InterfaceName, InvalidLinkId, Link, LinkChange, LinkConfig,
    LinkEnds, LinkId, LinkKind, LinkState, LinkStatus, LinkZones, PingTimers, Policy, SocketId,
    Transport, TransportError, ZoneError, ZonedAddr,
};

// Access lists and markings of links.
#[doc(inline)]
pub use knet_handle::{AclAction, AclEntry, Dscp, DscpOutOfRange, QosMarking};

// Datafds and channels.
#[doc(inline)]
pub use knet_handle::{
    Channel, ChannelRequest, ChannelSet, ChannelSetIter, Datafd, DatafdId, DatafdKey, DatafdSource,
    DatafdState, DatafdStatus, InvalidChannel,
};

// Messages and the filter.
#[doc(inline)]
pub use knet_handle::{
    Direction, FilterMessage, MAX_MESSAGE, NotSent, SendFailure, SendReport, Verdict,
};

// Events.
#[doc(inline)]
pub use knet_handle::{
    AddressEvent, DatafdEvent, DatafdProblem, EventStream, HostEvent, LinkEvent, MtuEvent,
    Notification, Rejection, RejectionReason, STREAM_CAPACITY,
};

// Statistics.
#[doc(inline)]
pub use knet_handle::{
    ChannelStats, ClearStats, DropStats, HandleStats, HostStats, LinkStats, LinkTotals,
};

// Errors.
#[doc(inline)]
pub use knet_handle::{
    AccessMode, AccessModeError, AclEntryError, AclError, AddressProblem, BindError, Destinations,
    Error, FdKind, HostError, InvalidHostId, InvalidPolicy, KindError, LinkError, MarkError,
    MtuError, Operation, OsError, PairType, ParseChannelError, ParseLinkIdError, PingTimersError,
    SocketDomain, SocketState, SocketType,
};

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
