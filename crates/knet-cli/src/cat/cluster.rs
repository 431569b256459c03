//! Our host and its peers, as described by the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;

use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Error, Handle, Host, HostId, LinkId,
    Notification,
};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::{RcvBuf, SndBuf};

use crate::args::{PeerLink, Remote, links_by_host, require_local};
use crate::cat::args::CatArgs;
use crate::cat::arrivals::Arrivals;
use crate::cat::destinations::{Destinations, Outcome};
use crate::cat::event::{Event, Events};
use crate::cat::filter::Filter;
use crate::cat::flow_control;
use crate::cat::links::Links;
use crate::cat::notice::{self, Notice};
use crate::process::exit::{Unreachable, Usage};
use crate::process::stderr;

/// The handle with its datafd, peers and links.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) handle: Handle,
    pub(crate) datafd: Datafd,
    /// What peers have sent to us.
    pub(crate) arrivals: Arc<Arrivals>,
    channel: Channel,
    notices: Channel,
    peers: Vec<Host>,
    links: Links,
    /// The peers that our messages are sent to, and what they have received.
    targets: Vec<Host>,
    destinations: Arc<Destinations>,
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
        watch(&handle, args.verbose, events);
        let own = RandomState::new().build_hasher().finish();
        let is_target = |host: &HostId| args.to.is_empty() || args.to.contains(host);
        let targets = paths.keys().copied().filter(is_target);
        let request = ChannelRequest::Exact(args.channel);
        let datafd = handle.add_datafd(DatafdSource::Create, request)?;
        let mut cluster = Self {
            arrivals: Arc::new(Arrivals::new(own, paths.len(), room(&datafd)?)),
            destinations: Arc::new(Destinations::new(own, targets)),
            datafd,
            channel: args.channel,
            notices: notice::channel(args.channel),
            peers: Vec::new(),
            links: Links::default(),
            targets: Vec::new(),
            wait: args.wait,
            handle,
        };
        // The filter delivers notices; a channel needs a datafd all the same.
        let request = ChannelRequest::Exact(cluster.notices);
        cluster.handle.add_datafd(DatafdSource::Create, request)?;
        // All of this has to be in place before the first link comes up.
        cluster.set_filter(args.to.clone())?;
        cluster.handle.set_forwarding(true)?;
        for (host, paths) in paths {
            cluster.add_peer(host, &paths)?;
        }
        let is_target = |host: &&Host| is_target(&host.id());
        cluster.targets = cluster.peers.iter().filter(is_target).cloned().collect();
        Ok(cluster)
    }

    /// Sets the filter, with `hosts` as the only destinations unless it is empty.
    fn set_filter(&self, hosts: Vec<HostId>) -> Result<(), Error> {
        let filter = Filter {
            data: self.channel.into(),
            notices: self.notices.into(),
            hosts,
            arrivals: self.arrivals.clone(),
            destinations: self.destinations.clone(),
        };
        self.handle.set_filter(move |message| filter.judge(message))
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

    /// Returns `true` once every destination has answered a probe, as a `knet cat` does.
    pub(crate) fn all_return_credit(&self) -> bool {
        self.destinations.all_answered()
    }

    /// Asks each destination for credit.
    pub(crate) fn greet(&self) {
        self.targets.iter().for_each(|host| self.probe(host.id()));
    }

    fn probe(&self, host: HostId) {
        self.notify(&self.destinations.probe(host));
    }

    /// Sends a notice. It may be lost: who waits for one asks again.
    pub(crate) fn notify(&self, notice: &Notice) {
        let _ = self.handle.send(self.notices, &notice.encode());
    }

    /// Sends a message. Blocks while a destination has no room for it, or no destination is reachable.
    ///
    /// # Errors
    /// [`Unreachable`] if no destination becomes reachable in time; those of [`Handle::send`].
    pub(crate) fn send(&self, message: &[u8]) -> anyhow::Result<()> {
        let cost = flow_control::cost(message.len(), self.handle.data_mtu());
        loop {
            self.wait_for_room(cost)?;
            self.destinations.sending(cost);
            match self.handle.send(self.channel, message) {
                Ok(report) => {
                    self.destinations.not_sent_to(report.failures().map(|failure| failure.host));
                    return Ok(());
                }
                // The message was sent to no host, so sending it again duplicates nothing.
                Err(Error::NoReachableHost { .. }) => {
                    self.destinations.not_sent();
                    self.wait_for_destinations()?;
                }
                Err(error) => {
                    self.destinations.not_sent();
                    return Err(error.into());
                }
            }
        }
    }

    /// Waits until each destination has room for a message, except for those that are not reachable
    /// while others are.
    fn wait_for_room(&self, cost: usize) -> anyhow::Result<()> {
        loop {
            self.wait_for_successors()?;
            let full = self.destinations.wait_for_room(cost, PROBE_INTERVAL);
            if full.is_empty() {
                return Ok(());
            }
            for host in full {
                if self.is_reachable(host)? {
                    self.probe(host);
                } else {
                    self.destinations.absent(host);
                }
            }
        }
    }

    /// Waits until some host wants messages: one that wanted no more may be followed by another.
    fn wait_for_successors(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.destinations.all_done(Duration::ZERO) {
            if start.elapsed() >= self.wait {
                let text = format!("{} ended before all input was sent", names(&self.targets));
                return Err(Unreachable(text).into());
            }
            self.greet();
            if !self.destinations.all_done(PROBE_INTERVAL) {
                break;
            }
        }
        Ok(())
    }

    fn is_reachable(&self, id: HostId) -> Result<bool, Error> {
        match self.peers.iter().find(|peer| peer.id() == id) {
            Some(peer) => peer.is_reachable(),
            None => Ok(false),
        }
    }

    /// Waits until the destinations are reachable again. Once time runs out, one of them is enough.
    fn wait_for_destinations(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut any = false;
        for host in &self.targets {
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

    /// Waits until the destinations have received everything, or are lost.
    ///
    /// # Errors
    /// [`Unreachable`] if a host was lost before it had everything; an error if a message was lost;
    /// those of kronosnet.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        if !self.all_return_credit() {
            self.settle()?;
        }
        let mut reachable_at = Instant::now();
        loop {
            let mut unsettled = self.destinations.wait_until_settled(Duration::ZERO);
            for &host in &unsettled {
                self.probe(host);
            }
            unsettled = self.destinations.wait_until_settled(PROBE_INTERVAL);
            let mut any = false;
            for &host in &unsettled {
                any |= self.is_reachable(host)?;
            }
            if any {
                reachable_at = Instant::now();
            }
            if unsettled.is_empty() || reachable_at.elapsed() >= self.wait {
                return self.judge();
            }
        }
    }

    /// Fails if a destination has not received everything.
    fn judge(&self) -> anyhow::Result<()> {
        for Outcome { host, sent, arrived, lost } in self.destinations.outcomes() {
            if arrived < sent && !self.is_reachable(host)? {
                let text = format!("host {host} was lost; {arrived} of {sent} messages received");
                return Err(Unreachable(text).into());
            }
            if lost > 0 {
                bail!("{lost} of {sent} messages to host {host} were lost");
            }
        }
        Ok(())
    }

    /// Returns the names of the peers if none of them is reachable.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn all_lost(&self) -> Result<Option<String>, Error> {
        for peer in &self.peers {
            if peer.is_reachable()? {
                return Ok(None);
            }
        }
        Ok(Some(names(&self.peers)))
    }

    /// Stops sending and receiving, and waits until the peers have received the last notice: a peer
    /// that finds our sockets closed drops the packets that it has not processed yet.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.handle.set_forwarding(false)?;
        self.links.settle(LAST_NOTICE_TIMEOUT)
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
    handle.on_host_event(move |_, Notification { event, .. }| {
        if verbose {
            let state = if event.reachable { "reachable" } else { "not reachable" };
            stderr::line(format_args!("host {} is {state}", event.host));
        }
        if event.reachable {
            let _ = events.send(Event::HostReachable(event.host));
        }
    });
    if verbose {
        handle.on_link_event(|_, Notification { event, .. }| {
            let (host, link, state) = (event.host, event.link, event.state);
            stderr::line(format_args!("link {link} to host {host} is {state}"));
        });
    }
    // Always reported: messages were lost.
    handle.on_datafd_event(|_, Notification { event, .. }| {
        stderr::line(format_args!("channel {}: {}", event.channel, event.problem));
    });
}

/// Returns how many bytes of memory a datafd holds, and so does the socket of a link: the library asks for
/// equally large buffers, and the kernel has the same limits for both.
fn room(datafd: &Datafd) -> nix::Result<usize> {
    Ok(getsockopt(datafd, RcvBuf)?.min(getsockopt(datafd, SndBuf)?))
}

/// Returns the names of hosts for people.
fn names(hosts: &[Host]) -> String {
    let ids: Vec<String> = hosts.iter().map(|host| host.id().to_string()).collect();
    format!("host{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "))
}

/// How long peers that return no credit may take to receive everything. A peer that has died is ignored
/// sooner, when its links go down.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long peers may take to process the last notice.
const LAST_NOTICE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often credit is asked for that does not come.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
