//! Our host with its peers, as the command line describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, Error, Handle, Host, HostId, LinkId,
    Verdict,
};

use crate::args::CatArgs;
use crate::cat::event::{Event, Events};
use crate::cat::links::Links;
use crate::exit::{Unreachable, Usage};
use crate::peer::{self, PeerLink};
use crate::remote::Remote;
use crate::stderr;

/// The handle, and what it is linked to.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) handle: Handle,
    pub(crate) datafd: Datafd,
    channel: Channel,
    peers: Vec<Host>,
    links: Links,
    /// Those that our messages go to.
    destinations: Vec<Host>,
    wait: Duration,
}

impl Cluster {
    /// Makes the handle with its datafd and links. Messages may come in from now on.
    ///
    /// # Errors
    /// [`Usage`] if the arguments contradict each other; those of the calls to kronosnet.
    pub(crate) fn start(args: &CatArgs, events: &Events) -> anyhow::Result<Self> {
        let paths = by_host(args)?;
        let handle = Handle::new(args.id)?;
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

    /// Whether every peer is one of `met`.
    pub(crate) fn is_complete(&self, met: &BTreeSet<HostId>) -> bool {
        self.peers.iter().all(|peer| met.contains(&peer.id()))
    }

    /// Whether every peer has had what it needs to find us reachable: until then it drops messages.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn is_known(&self) -> Result<bool, Error> {
        for peer in &self.peers {
            if !self.links.answered(peer.id())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says which peers cannot be reached, with each link's state and the reason for it.
    pub(crate) fn unreachable(&self) -> Unreachable {
        let missing: Vec<String> = self
            .peers
            .iter()
            .filter_map(|peer| peer.wait_reachable(Duration::ZERO).err())
            .map(|error| error.to_string())
            .collect();
        Unreachable(format!("after {} s {}", self.wait.as_secs_f64(), missing.join("; ")))
    }

    /// Sends a message. If nobody can be reached it waits until they can be.
    ///
    /// # Errors
    /// [`Unreachable`] if that takes too long; those of [`Handle::send`].
    pub(crate) fn send(&self, message: &[u8]) -> anyhow::Result<()> {
        loop {
            match self.handle.send(self.channel, message) {
                Ok(_) => return Ok(()),
                Err(Error::HostDown { .. }) => self.wait_for_destinations()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the destinations are reachable again; if time runs out, one of them is enough.
    fn wait_for_destinations(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut any = false;
        for host in &self.destinations {
            any |= host.wait_reachable(self.wait.saturating_sub(start.elapsed())).is_ok();
        }
        if any { Ok(()) } else { Err(self.unreachable().into()) }
    }

    /// Waits until the peers have taken in what was sent: [`Links::settle`].
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        self.links.settle(PATIENCE)
    }

    /// Stops sending and receiving. A peer that finds our sockets closed forgets what it has not
    /// looked at yet, so what was sent has to be taken in before.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn close(&self, hurry: bool) -> Result<(), Error> {
        self.handle.set_forwarding(false)?;
        if self.handle.channel_stats(self.channel).tx_messages == 0 {
            return Ok(());
        }
        self.links.settle(if hurry { HURRIED_PATIENCE } else { PATIENCE })
    }

    /// How many messages were lost because they were not taken out of the datafd in time.
    pub(crate) fn lost(&self) -> u64 {
        self.handle.channel_stats(self.channel).rx_dropped_full
    }
}

/// The links of each peer, in the order of the command line.
fn by_host(args: &CatArgs) -> Result<BTreeMap<HostId, Vec<PeerLink<Remote>>>, Usage> {
    let peers = peer::by_host(args.id, &args.peers)?;
    match args.to.iter().find(|host| !peers.contains_key(host)) {
        Some(host) => Err(Usage(format!("--to {host}: there is no --peer {host}"))),
        None => Ok(peers),
    }
}

/// Passes on what the handle tells of its own accord.
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
    // Told without being asked: it means that messages were lost.
    handle.on_datafd_event(|_, event| {
        stderr::line(format_args!("channel {}: {}", event.channel, event.problem));
    });
}

/// Sends to those hosts only; receives from everybody.
fn send_only_to(handle: &Handle, hosts: Vec<HostId>) -> Result<(), Error> {
    handle.set_filter(move |message| {
        if message.direction() == Direction::Rx {
            return Verdict::Broadcast;
        }
        for &host in &hosts {
            message.send_to(host);
        }
        Verdict::Listed
    })
}

/// How long the peers may take to have everything. One that has died is given up before, when its
/// links go down.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same, when the command was told to end.
const HURRIED_PATIENCE: Duration = Duration::from_millis(500);
