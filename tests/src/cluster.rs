//! Clusters of hosts that reach each other, all in this process.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use kronosnet::{
    AclAction, AclEntry, Channel, ChannelRequest, ChannelStats, Datafd, DatafdEvent, DatafdSource,
    EventStream, Handle, Host, HostId, Link, LinkConfig, LinkId, PingTimers,
};

use crate::wait::{DEADLINE, next};

/// Hosts 1, 2, … with links between each pair, on ports that the kernel picked. They reach each
/// other, forward, and subscribe to datafd events.
///
/// Its methods panic where the handle returns an error: a test of an error calls the handle.
pub struct Cluster {
    nodes: Vec<(Handle, EventStream<DatafdEvent>)>,
}

/// Pings often enough to keep tests fast, with a timeout long enough for a busy machine.
pub const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(20),
    timeout: Duration::from_secs(2),
    precision: 64,
};

impl Cluster {
    /// Builds two hosts with one link.
    #[must_use]
    pub fn pair() -> Self {
        Self::new(2, 1)
    }

    /// Builds this many hosts, with this many links between each pair, over IPv4.
    #[must_use]
    pub fn new(hosts: u16, links: u8) -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), hosts, links)
    }

    /// Builds hosts as [`Cluster::new`] does, on another local address.
    ///
    /// Packets are kept as short as the minimum MTU of the address family, so that messages are
    /// fragmented; the loopback interface would carry nearly all of them whole.
    ///
    /// # Panics
    /// If a handle returns an error, or if the hosts do not reach each other by the deadline.
    #[must_use]
    pub fn on(ip: IpAddr, hosts: u16, links: u8) -> Self {
        let cluster = Self { nodes: (1..=hosts).map(new_handle).collect() };
        let shortest = if ip.is_ipv4() { 576 } else { 1280 };
        for (handle, _) in &cluster.nodes {
            handle.set_manual_mtu(Some(shortest)).expect("an MTU that every path has");
        }
        let events: Vec<_> = cluster
            .nodes
            .iter()
            .map(|(handle, _)| (handle.link_events(), handle.host_events()))
            .collect();
        for two in 2..=hosts {
            for one in 1..two {
                for link in 0..links {
                    cluster.connect(ip, one, two, link);
                }
            }
        }
        // Streams that are opened afterwards do not report these events.
        let peers = usize::from(hosts) - 1;
        for (link_events, host_events) in events {
            for _ in 0..peers * usize::from(links) {
                assert!(next(&link_events).state.is_up(), "nothing takes a link down yet");
            }
            for _ in 0..peers {
                assert!(next(&host_events).reachable, "nothing takes a host down yet");
            }
        }
        cluster
    }

    fn connect(&self, ip: IpAddr, one: u16, two: u16, link: u8) {
        let any = SocketAddr::new(ip, 0);
        let here = self.handle(one).bind(any).expect("a free port");
        let there = self.handle(two).bind(any).expect("a free port");
        watch(self.handle(one), two, link, here.addr(), there.addr(), QUICK);
        watch(self.handle(two), one, link, there.addr(), here.addr(), QUICK);
    }

    /// Returns the handle of a host.
    #[must_use]
    pub fn handle(&self, host: u16) -> &Handle {
        &self.nodes[usize::from(host) - 1].0
    }

    /// Returns the events of the datafds of a host.
    #[must_use]
    pub fn problems(&self, host: u16) -> &EventStream<DatafdEvent> {
        &self.nodes[usize::from(host) - 1].1
    }

    /// Returns a host as seen by another.
    ///
    /// # Panics
    /// If the other does not know it.
    #[must_use]
    pub fn peer(&self, at: u16, peer: u16) -> Host {
        self.handle(at).host(HostId::new(peer)).expect("it was added")
    }

    /// Returns a link as seen by one host.
    ///
    /// # Panics
    /// If it is not configured.
    #[must_use]
    pub fn link(&self, at: u16, peer: u16, link: u8) -> Link {
        self.peer(at, peer).link(link_id(link)).expect("it was configured")
    }

    /// Adds a datafd that the handle makes for a channel of a host.
    ///
    /// # Panics
    /// If the handle returns an error.
    #[must_use]
    pub fn create(&self, at: u16, number: u8) -> Datafd {
        self.handle(at).add_datafd(DatafdSource::Create, exactly(number)).expect("a free channel")
    }

    /// Adds a descriptor as the datafd of a channel of a host.
    ///
    /// # Panics
    /// If the handle returns an error.
    pub fn bring(&self, at: u16, fd: impl AsFd, number: u8) -> Datafd {
        let source = DatafdSource::Fd(fd.as_fd());
        self.handle(at).add_datafd(source, exactly(number)).expect("a datafd like any other")
    }

    /// Returns the counters of a channel of a host, once no message is pending.
    #[must_use]
    pub fn stats(&self, at: u16, number: u8) -> ChannelStats {
        stats(self.handle(at), number)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("hosts", &self.nodes.len()).finish_non_exhaustive()
    }
}

fn new_handle(id: u16) -> (Handle, EventStream<DatafdEvent>) {
    let handle = Handle::new(HostId::new(id)).expect("a handle");
    let problems = handle.datafd_events();
    handle.set_forwarding(true).expect("not in a filter");
    (handle, problems)
}

/// Configures and enables a link that comes up with the first pong.
///
/// # Panics
/// If the handle returns an error.
pub fn watch(
    handle: &Handle,
    peer: u16,
    link: u8,
    local: SocketAddr,
    remote: SocketAddr,
    timers: PingTimers,
) -> Link {
    let peer = HostId::new(peer);
    let host = handle.host(peer).or_else(|_| handle.add_host(peer)).expect("known or new");
    let link = host.add_link(link_id(link), LinkConfig::udp(local, remote)).expect("a free link");
    link.set_ping_timers(timers).expect("timers within the limits");
    link.set_pong_count(1).expect("at least one");
    link.enable().expect("it is configured");
    link
}

/// Waits until a handle has processed everything that was written to its datafds and everything
/// that has arrived at its sockets.
///
/// # Panics
/// If the handle returns an error.
pub fn flush(handle: &Handle) {
    handle.set_forwarding(false).expect("not in a filter");
    handle.set_forwarding(true).expect("not in a filter");
}

/// Returns the counters of a channel, once no message is pending: a message can be read just before
/// it is counted.
#[must_use]
pub fn stats(handle: &Handle, number: u8) -> ChannelStats {
    flush(handle);
    handle.channel_stats(channel(number))
}

/// Accepts the peer of a dynamic link from any address.
///
/// # Panics
/// If the link is not configured, or not dynamic.
pub fn let_everybody_in(link: &Link) {
    let nothing: IpAddr = match link.local_addr().expect("it is configured") {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let all = AclEntry::mask(AclAction::Accept, nothing, nothing).expect("one family");
    link.add_acl_entry(all).expect("it is dynamic, and its list was empty");
}

/// Enables or disables a link.
///
/// # Panics
/// If it is not configured.
pub fn set_enabled(link: &Link, enabled: bool) {
    let done = if enabled { link.enable() } else { link.disable() };
    done.expect("it is configured");
}

/// Waits until a link is up.
///
/// # Panics
/// At the deadline.
pub fn wait_up(link: &Link) {
    let what = format!("link {} to host {} comes up", link.id(), link.host_id());
    crate::wait::until(&what, || link.status().expect("it is configured").state.is_up());
}

/// Waits until two handles reach each other.
///
/// # Panics
/// At the deadline.
pub fn wait_until_reachable(one: &Handle, two: &Handle) {
    for (at, peer) in [(one, two), (two, one)] {
        let host = at.host(peer.host_id()).expect("it was added");
        host.wait_until_reachable(DEADLINE).expect("its links work");
    }
}

/// Returns a channel.
///
/// # Panics
/// If it is above 31.
#[must_use]
pub fn channel(number: u8) -> Channel {
    Channel::new(number).expect("0 to 31")
}

/// Makes a host of its own, with forwarding on and a datafd for channel 0.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn node(id: u16) -> (Handle, Datafd) {
    let (handle, _) = new_handle(id);
    let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).expect("a datafd");
    (handle, datafd)
}

/// Returns a request for one channel.
///
/// # Panics
/// If it is above 31.
#[must_use]
pub fn exactly(number: u8) -> ChannelRequest {
    ChannelRequest::Exact(channel(number))
}

/// Returns a link id.
///
/// # Panics
/// If it is above 7.
#[must_use]
pub fn link_id(number: u8) -> LinkId {
    LinkId::new(number).expect("0 to 7")
}

/// Returns a message of this length. It begins with its number, as far as that fits; the rest
/// depends on the number and the position, so that a part of another message is noticed.
#[must_use]
pub fn message(length: usize, number: usize) -> Vec<u8> {
    let begin = number.to_le_bytes();
    let byte = |at: usize| (number + at.wrapping_mul(31) + (at >> 8)) as u8;
    (0..length).map(|at| begin.get(at).copied().unwrap_or_else(|| byte(at))).collect()
}
