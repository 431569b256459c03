//! A memory-safe [kronosnet](https://kronosnet.org) for Linux: redundant, watched links between the
//! hosts of a cluster, behind plain file descriptors.
//!
//! An application installs a file descriptor, a *datafd*, on a [`Handle`] for one of 32 channels.
//! What it writes there comes out of the datafd of the same channel on the other hosts. In between
//! are up to eight links to each host, with failure detection, failover, fragmentation and
//! de-duplication done for it. The packets are those of libknet 1.x.
//!
//! This crate only puts the layers together. Each of them can be used without it: `knet-channel`
//! (channel numbers), `knet-fd` (descriptors), `knet-poller` (epoll), `knet-wire` (packets),
//! `knet-engine` (the protocol without I/O) and `knet-transport` (UDP in batches).
//!
//! # Guide
//!
//! The pieces below are one program. It plays both hosts of a cluster, so that it runs anywhere.
//!
//! ## Handles
//!
//! A [`Handle`] is a host's place in the cluster. It is cheap to clone and may be used from any
//! thread. When the last clone goes away, its threads stop and everything that it opened is closed;
//! there is nothing to free by hand. [`Handle::close`] returns when all of that is done.
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
//! ## Hosts and links
//!
//! Each host adds the others, and its links to them. A link is a pair of UDP addresses; both ends
//! must give it the same [`LinkId`]. Addresses are usually known beforehand. Where they are not,
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
//! let timers = PingTimers { interval: Duration::from_millis(50), ..PingTimers::default() };
//! for (handle, peer, local, remote) in
//!     [(&one, two.host_id(), &here, &there), (&two, one.host_id(), &there, &here)]
//! {
//!     let host = handle.add_host(peer)?;
//!     let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local.addr(), remote.addr()))?;
//!     link.set_ping_timers(timers)?;
//!     link.set_pong_count(2)?;
//!     link.enable()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Enabling a link starts its heartbeat. It is up when [`Link::set_pong_count`] pings were answered
//! in time, and a host is reachable when one of its links is up. [`Host::wait_until_reachable`] waits for
//! that; if it takes too long, its error says what is wrong with each link.
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
//! ### Peers whose address is not known
//!
//! [`LinkConfig::udp_dynamic`] makes a link that waits for its peer to speak, and follows it when its
//! address changes. It listens only to addresses that its access list accepts: the first entry that
//! matches decides, and an empty list accepts nobody.
//!
//! ```
//! # use kronosnet::{Handle, HostId, LinkConfig, LinkId};
//! use std::net::IpAddr;
//! use kronosnet::{AclAction, AclEntry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let one = Handle::new(HostId::new(1))?;
//! # let here = ([127, 0, 0, 1], 0).into();
//! let link = one.add_host(HostId::new(4))?.add_link(LinkId::new(0)?, LinkConfig::udp_dynamic(here))?;
//! let (network, mask) = (IpAddr::from([10, 1, 0, 0]), IpAddr::from([255, 255, 0, 0]));
//! link.add_acl_entry(AclEntry::address(AclAction::Reject, [10, 1, 0, 66].into()))?;
//! link.add_acl_entry(AclEntry::mask(AclAction::Accept, network, mask)?)?;
//! link.enable()?;
//! assert!(!link.status()?.peer_known);
//! # Ok(())
//! # }
//! ```
//!
//! Messages to oneself take [`LinkConfig::loopback`], as the only link to a host with one's own id.
//!
//! ## Datafds
//!
//! [`Handle::add_datafd`] takes a descriptor of yours, or makes a pair of sockets and gives you one
//! end. Things can happen to a datafd that you must know of (its other end is closed, your reader
//! is too slow), so its events have to be asked for first.
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
//! # let timers = PingTimers { interval: Duration::from_millis(50), ..PingTimers::default() };
//! # for (handle, peer, local, remote) in
//! #     [(&one, two.host_id(), &here, &there), (&two, one.host_id(), &there, &here)]
//! # {
//! #     let host = handle.add_host(peer)?;
//! #     let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local.addr(), remote.addr()))?;
//! #     link.set_ping_timers(timers)?;
//! #     link.set_pong_count(2)?;
//! #     link.enable()?;
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
//! [`Datafd::send`] runs in your thread and tells how many hosts the message went to. Writing to
//! the descriptor does the same on a thread of the handle, in batches, and tells nobody: what
//! becomes of such messages is counted in [`Handle::channel_stats`].
//!
//! ## Filters
//!
//! Without a filter every message goes to every reachable host. A filter sees each message on its
//! way out and on its way in; it may name destinations, reject the message, or move it to another
//! channel.
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
//! Links, hosts and datafds tell what happens to them, to callbacks and through streams, which
//! `crossbeam_channel::select!` can wait for. Callbacks run on a thread of their own with no lock
//! held: any method may be called from them.
//!
//! ```
//! # use kronosnet::{Handle, HostId};
//! # fn main() -> Result<(), kronosnet::Error> {
//! # let one = Handle::new(HostId::new(1))?;
//! let links = one.link_events();
//! one.on_host_event(|handle, event| {
//!     if !event.reachable {
//!         println!("lost host {}, {} are left", event.host, handle.hosts().len() - 1);
//!     }
//! });
//! assert!(links.try_recv().is_err());
//! # Ok(())
//! # }
//! ```
//!
//! Events come in the order in which things happened: a link first, then its host, then what packets
//! carry. A status that is read after an event shows what the event told, or something newer.
//!
//! ## Statistics
//!
//! [`Handle::stats`] adds everything up; [`Host::status`], [`Link::status`] and
//! [`Handle::channel_stats`] tell of the parts. A link remembers when it came up and went down, and why.
//! Reading stops nobody, and [`Handle::clear_stats`] starts anew.
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
//!         println!("answers come after {latency:?}");
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
//! Every call returns one [`Error`] that says what was wrong and what to do. [`Error::errno`] gives
//! the value that libknet would have set, for programs that are ported from C; `docs/porting.md`
//! lists libknet's calls and ours side by side.
//!
//! # Examples
//!
//! `cargo run -p kronosnet --example two_hosts`, and likewise `datafd_epoll` (an application that
//! polls its datafd), `filter` (unicast and moved channels) and `events` (waiting for several
//! streams at once).

#![forbid(unsafe_code)]

#[doc(inline)]
pub use knet_handle::*;

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
