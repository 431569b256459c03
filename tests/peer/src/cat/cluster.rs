//! Our host and its peers, as described by the command line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use kronosnet::{ChannelRequest, Direction, HostId, LinkId, PingTimers, Verdict};
use libknet_peer::libknet::{CallError, Datafd, Handle, Host, Library, Link};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::args::CatArgs;
use crate::exit::Usage;
use crate::peer_link::Remote;

/// The handle with its datafd, peers and links.
#[derive(Debug)]
pub(super) struct Cluster {
    handle: Handle,
    pub(super) datafd: Datafd,
    hosts: BTreeMap<HostId, Host>,
    links: Vec<Link>,
    /// Bytes that the peers may not have received yet.
    in_flight: usize,
    /// How many pongs each link will have received once the peers have received everything; `None` while
    /// nothing waits for that.
    settled_at: Option<Vec<u64>>,
}

impl Cluster {
    /// Creates the handle with its datafd and links.
    ///
    /// # Errors
    /// [`Usage`] if a host has too many links; [`CallError`].
    pub(super) fn start(library: &'static Library, args: &CatArgs) -> anyhow::Result<Self> {
        let handle = Handle::new(library, args.id)?;
        if !args.to.is_empty() {
            send_only_to(&handle, args.to.clone())?;
        }
        let datafd = handle.add_datafd(ChannelRequest::Exact(args.channel))?;
        handle.set_forwarding(true)?;
        if args.peers.iter().any(|peer| matches!(peer.remote, Remote::Within { .. })) {
            // Access lists are enabled by default in 1.35, but not in 1.25.
            handle.set_access_lists(true)?;
        }
        let (hosts, links, settled_at) = Default::default();
        let mut cluster = Self { handle, datafd, hosts, links, in_flight: 0, settled_at };
        let mut counts: BTreeMap<HostId, u8> = BTreeMap::new();
        for peer in &args.peers {
            let count = counts.entry(peer.host).or_default();
            let id = LinkId::new(*count).map_err(|_| Usage("a host has too many links".into()))?;
            *count += 1;
            cluster.add_link(peer.host, id, peer.local, peer.remote)?;
        }
        Ok(cluster)
    }

    fn add_link(
        &mut self,
        host: HostId,
        id: LinkId,
        local: SocketAddr,
        remote: Remote,
    ) -> Result<(), CallError> {
        if !self.hosts.contains_key(&host) {
            self.hosts.insert(host, self.handle.add_host(host)?);
        }
        let host = &self.hosts[&host];
        let link = match remote {
            Remote::At(remote) => host.add_link(id, local, Some(remote))?,
            Remote::Within { network, mask } => {
                let link = host.add_link(id, local, None)?;
                link.accept_network(network, mask)?;
                link
            }
        };
        link.set_ping_timers(PingTimers { interval: PING_INTERVAL, ..PingTimers::default() })?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Returns the peers that are not reachable.
    pub(super) fn missing(&self) -> Vec<HostId> {
        let missing = self.hosts.values().filter(|host| !host.is_reachable());
        missing.map(Host::id).collect()
    }

    /// Returns `true` if any peer is reachable.
    pub(super) fn has_any(&self) -> bool {
        self.hosts.values().any(Host::is_reachable)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let packets = message.len().div_ceil(self.handle.data_mtu()?.max(1));
        self.in_flight += message.len() + packets * BOOKKEEPING;
        loop {
            match self.datafd.send(message) {
                Err(error) if error.errno == Errno::EAGAIN as i32 => {
                    let mut fds = [PollFd::new(self.datafd.as_fd(), PollFlags::POLLOUT)];
                    poll(&mut fds, PollTimeout::NONE)?;
                }
                sent => return Ok(sent.map(|_| ())?),
            }
        }
    }

    /// Returns `true` if the peers have room for more: little is in flight, or they have answered two
    /// pings. The second of these was sent after everything in flight.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) fn has_room(&mut self) -> Result<bool, CallError> {
        if self.settled_at.is_none() && self.in_flight >= LIMIT {
            self.settled_at = Some(self.pongs(2)?);
        }
        if let Some(settled_at) = &self.settled_at {
            let pongs = self.pongs(0)?;
            if pongs.iter().zip(settled_at).any(|(pongs, enough)| pongs < enough) {
                return Ok(false);
            }
            self.settled_at = None;
            self.in_flight = 0;
        }
        Ok(true)
    }

    /// Returns how many pongs each link will have received after `more` pongs. A link that is down counts
    /// as having received all.
    fn pongs(&self, more: u64) -> Result<Vec<u64>, CallError> {
        let counts = self.links.iter().map(|link| {
            let status = link.status()?;
            let pongs = status.stats.rx_pong_packets + more;
            Ok(if status.connected { pongs } else { u64::MAX })
        });
        counts.collect()
    }

    /// Sends what is left, and waits until the peers have received it or `timeout` expires. Returns how
    /// many received messages were lost.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) fn close(mut self, timeout: Duration) -> Result<u64, CallError> {
        self.handle.set_forwarding(false)?;
        if self.in_flight > 0 {
            self.in_flight = LIMIT;
            let deadline = Instant::now() + timeout;
            while !self.has_room()? && Instant::now() < deadline {
                thread::park_timeout(POLL_INTERVAL);
            }
        }
        Ok(self.handle.lost())
    }
}

/// Sends to these hosts only; receives from all.
fn send_only_to(handle: &Handle, hosts: Vec<HostId>) -> Result<(), CallError> {
    handle.set_filter(move |message| {
        if message.direction() == Direction::Rx {
            return Verdict::Broadcast;
        }
        for &host in &hosts {
            message.add_destination(host);
        }
        Verdict::Destinations
    })
}

/// The shortest interval of libknet.
const PING_INTERVAL: Duration = Duration::from_millis(200);
/// Memory that the kernel needs per packet besides its bytes.
const BOOKKEEPING: usize = 768;
/// How much may be in flight: a third of the smallest receive buffer in practice.
const LIMIT: usize = 128 * 1024;
/// How often to check whether the peers have answered.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
