//! Our host and its peers, as described by the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, Error, Handle, Host, HostId, LinkId,
    Verdict,
};

use crate::args::{PeerLink, Remote, links_by_host, require_local};
use crate::cat::args::CatArgs;
use crate::cat::event::{Event, Events};
use crate::cat::links::Links;
use crate::process::exit::{Unreachable, Usage};
use crate::process::stderr;

/// The handle with its datafd, peers and links.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) handle: Handle,
    pub(crate) datafd: Datafd,
    channel: Channel,
    peers: Vec<Host>,
    links: Links,
    /// The peers that our messages are sent to.
    destinations: Vec<Host>,
    wait: Duration,
}

impl Cluster {
    /// Creates the handle with its datafd and links. Messages may arrive from now on.
    ///
    /// # Errors
    /// [`Usage`] if the arguments contradict each other; those of kronosnet.
    pub(crate) fn start(args: &CatArgs, events: &Events) -> anyhow::Result<Self> {
        let paths = by_host(args)?;
        require_local(&args.peers)?;
        let handle = Handle::new(args.id)?;
        // Both have to be in place before the first link comes up.
        watch(&handle, args.verbose, events);
        if !args.to.is_empty() {
            send_only_to(&handle, args.to.clone())?;
        }
        let request = ChannelRequest::Exact(args.channel);
        let datafd = handle.add_datafd(DatafdSource::Create, request)?;
        handle.set_forwarding(true)?;
        let mut cluster = Self {
            handle,
            datafd,
            channel: args.channel,
            peers: Vec::new(),
            links: Links::default(),
            destinations: Vec::new(),
            wait: args.wait,
        };
        for (host, paths) in paths {
            cluster.add_peer(host, &paths)?;
        }
        let listed = |host: &&Host| args.to.is_empty() || args.to.contains(&host.id());
        cluster.destinations = cluster.peers.iter().filter(listed).cloned().collect();
        Ok(cluster)
    }

    fn add_peer(&mut self, host: HostId, paths: &[PeerLink<Remote>]) -> Result<(), Error> {
        let host = self.handle.add_host(host)?;
        for (path, id) in paths.iter().zip(LinkId::ALL) {
            self.links.add(&host, id, path)?;
        }
        self.peers.push(host);
        Ok(())
    }

    /// Returns `true` if every peer is one of `met`.
    pub(crate) fn is_complete(&self, met: &BTreeSet<HostId>) -> bool {
        self.peers.iter().all(|peer| met.contains(&peer.id()))
    }

    /// Returns `true` once every peer has certainly found us reachable. Until then a peer drops our
    /// messages.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn is_known_to_peers(&self) -> Result<bool, Error> {
        for peer in &self.peers {
            if !self.links.answered(peer.id())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns an error that lists the unreachable peers, with the state of each link.
    pub(crate) fn unreachable(&self) -> Unreachable {
        let missing: Vec<String> = self
            .peers
            .iter()
            .filter_map(|peer| peer.wait_until_reachable(Duration::ZERO).err())
            .map(|error| error.to_string())
            .collect();
        Unreachable(format!("after {} s {}", self.wait.as_secs_f64(), missing.join("; ")))
    }

    /// Sends a message. Blocks while no destination is reachable.
    ///
    /// # Errors
    /// [`Unreachable`] if no destination becomes reachable in time; those of [`Handle::send`].
    pub(crate) fn send(&self, message: &[u8]) -> anyhow::Result<()> {
        loop {
            match self.handle.send(self.channel, message) {
                Ok(_) => return Ok(()),
                // The message was sent to no host, so sending it again duplicates nothing.
                Err(Error::NoReachableHost { .. }) => self.wait_for_destinations()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the destinations are reachable again. Once time runs out, one of them is enough.
    fn wait_for_destinations(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut any = false;
        for host in &self.destinations {
            any |= host.wait_until_reachable(self.wait.saturating_sub(start.elapsed())).is_ok();
        }
        if any { Ok(()) } else { Err(self.unreachable().into()) }
    }

    /// Waits until the peers have received what was sent, see [`Links::settle`].
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        self.links.settle(SETTLE_TIMEOUT)
    }

    /// Stops sending and receiving, and waits until the peers have received what was sent: a peer
    /// that finds our sockets closed drops the packets that it has not processed yet.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn close(&self, hurry: bool) -> Result<(), Error> {
        self.handle.set_forwarding(false)?;
        if self.handle.channel_stats(self.channel).tx_messages == 0 {
            return Ok(());
        }
        self.links.settle(if hurry { HURRIED_SETTLE_TIMEOUT } else { SETTLE_TIMEOUT })
    }

    /// Returns how many received messages were lost because the datafd was full.
    pub(crate) fn lost(&self) -> u64 {
        self.handle.channel_stats(self.channel).rx_dropped_full
    }
}

/// Returns the links of each peer, in the order of the command line.
fn by_host(args: &CatArgs) -> Result<BTreeMap<HostId, Vec<PeerLink<Remote>>>, Usage> {
    let peers = links_by_host(args.id, &args.peers)?;
    match args.to.iter().find(|host| !peers.contains_key(host)) {
        Some(host) => Err(Usage(format!(
            "--to {host}: there is no link to host {host}: add it with --peer {host}:LOCAL=REMOTE"
        ))),
        None => Ok(peers),
    }
}

/// Forwards the events of the handle.
fn watch(handle: &Handle, verbose: bool, events: &Events) {
    let events = events.clone();
    handle.on_host_event(move |_, event| {
        if verbose {
            let state = if event.reachable { "reachable" } else { "not reachable" };
            stderr::line(format_args!("host {} is {state}", event.host));
        }
        if event.reachable {
            let _ = events.send(Event::HostReachable(event.host));
        }
    });
    if verbose {
        handle.on_link_event(|_, event| {
            let (host, link, state) = (event.host, event.link, event.state);
            stderr::line(format_args!("link {link} to host {host} is {state}"));
        });
    }
    // Always reported: messages were lost.
    handle.on_datafd_event(|_, event| {
        stderr::line(format_args!("channel {}: {}", event.channel, event.problem));
    });
}

/// Sends to these hosts only; receives from all.
fn send_only_to(handle: &Handle, hosts: Vec<HostId>) -> Result<(), Error> {
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

/// How long the peers may take to receive everything. A peer that has died is ignored sooner, when
/// its links go down.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same after a signal.
const HURRIED_SETTLE_TIMEOUT: Duration = Duration::from_millis(500);
