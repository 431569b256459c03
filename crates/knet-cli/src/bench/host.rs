//! A host to measure: a handle with a datafd per lane, and links to the other host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use knet_bench::{Endpoint, Lane, Mode, Plan, Policy};
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Error, EventStream, Handle, Host, HostId, Link,
    LinkConfig, LinkId, MtuEvent, Notification, PingTimers,
};

use crate::args::require_local;
use crate::bench::args::BenchArgs;
use crate::bench::idle_resources::IdleResources;
use crate::process::exit::{Unreachable, Usage};
use crate::process::stderr;

/// One of the two hosts.
#[derive(Debug)]
pub(crate) struct BenchHost {
    handle: Handle,
    peer: Host,
    links: Vec<Link>,
    data: Datafd,
    credits: Datafd,
    mtu_events: EventStream<MtuEvent>,
    timers: PingTimers,
    _idle: IdleResources,
}

impl BenchHost {
    /// Creates one host without links.
    ///
    /// # Errors
    /// Those of kronosnet; [`Usage`] if links are planned.
    pub(crate) fn alone(plan: &Plan) -> anyhow::Result<Self> {
        if plan.links > 0 {
            let text = "an idle handle with links needs its peer in another process: use --role";
            return Err(Usage(text.to_owned()).into());
        }
        Self::new(plan, HostId::new(1), HostId::new(2))
    }

    /// Creates two hosts in this process, linked over loopback on ports that the kernel chooses.
    ///
    /// # Errors
    /// Those of kronosnet; [`Usage`] without links; [`Unreachable`].
    pub(crate) fn pair(plan: &Plan) -> anyhow::Result<(Self, Self)> {
        if plan.links == 0 {
            return Err(Usage("--links 0: messages need a link".to_owned()).into());
        }
        let (one, two) = (HostId::new(1), HostId::new(2));
        let mut near = Self::new(plan, one, two)?;
        let mut far = Self::new(plan, two, one)?;
        for id in LinkId::ALL.into_iter().take(plan.links.into()) {
            let here = near.handle.bind(ANY_PORT.into())?;
            let there = far.handle.bind(ANY_PORT.into())?;
            near.add_link(id, LinkConfig::udp(here.addr(), there.addr()))?;
            far.add_link(id, LinkConfig::udp(there.addr(), here.addr()))?;
        }
        for host in [&near, &far] {
            host.wait_until_ready(READY_TIMEOUT)?;
        }
        Ok((near, far))
    }

    /// Creates one host, linked to a host in another process.
    ///
    /// # Errors
    /// Those of kronosnet; [`Usage`] if there is not exactly one peer; [`Unreachable`].
    pub(crate) fn connect(args: &BenchArgs) -> anyhow::Result<Self> {
        let own = args.id.context("--role needs --id")?;
        let peer = args.peers.first().context("--role needs --peer")?.host;
        if peer == own || args.peers.iter().any(|link| link.host != peer) {
            let text = "--peer: all links have to lead to one other host";
            return Err(Usage(text.to_owned()).into());
        }
        require_local(&args.peers)?;
        let mut host = Self::new(&args.plan, own, peer)?;
        for (path, id) in args.peers.iter().zip(LinkId::ALL) {
            let config = LinkConfig::udp(path.local, path.remote);
            host.add_link(id, LinkConfig { zones: path.zones, ..config })?;
        }
        host.wait_until_ready(args.wait)?;
        Ok(host)
    }

    /// Returns the id of the other host.
    pub(crate) fn peer(&self) -> HostId {
        self.peer.id()
    }

    fn new(plan: &Plan, own: HostId, peer: HostId) -> anyhow::Result<Self> {
        let builder = Handle::builder(own);
        let handle = match plan.busy_poll {
            Some(most) => builder.busy_poll(most).build()?,
            None => builder.build()?,
        };
        let mtu_events = handle.mtu_events();
        // Always reported: messages were lost.
        handle.on_datafd_event(|_, Notification { event, .. }| {
            stderr::line(format_args!("channel {}: {}", event.channel, event.problem));
        });
        let [data, credits] = [Lane::Data, Lane::Credits].map(|lane| {
            let request = ChannelRequest::Exact(channel(lane));
            handle.add_datafd(DatafdSource::Create, request)
        });
        let (data, credits) = (data?, credits?);
        handle.set_forwarding(true)?;
        let peer = handle.add_host(peer)?;
        peer.set_policy(policy(plan))?;
        let idle = IdleResources::add(&handle, plan)?;
        let timers = if plan.mode == Mode::Idle { PingTimers::default() } else { QUICK };
        let links = Vec::new();
        Ok(Self { handle, peer, links, data, credits, mtu_events, timers, _idle: idle })
    }

    fn add_link(&mut self, id: LinkId, config: LinkConfig) -> Result<(), Error> {
        let link = self.peer.add_link(id, config)?;
        link.set_ping_timers(self.timers)?;
        // The default of several pongs only delays the start.
        link.set_pong_count(1)?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Waits until all links are up and their path MTU is known. Until then messages are split into
    /// more fragments than necessary.
    fn wait_until_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        self.peer.wait_until_reachable(timeout).map_err(|error| Unreachable(error.to_string()))?;
        while !self.is_ready()? {
            if Instant::now() >= deadline {
                let text = "not all links came up and found their MTU";
                return Err(Unreachable(text.to_owned()).into());
            }
            // Some changes of state cause no event, so check regularly as well.
            let _ = self.mtu_events.recv_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool, Error> {
        for link in &self.links {
            let status = link.status()?;
            if !status.state.is_up() || status.path_mtu.is_none() || status.searching_mtu {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Sends what was written last, such as a goodbye.
impl Drop for BenchHost {
    fn drop(&mut self) {
        // This fails only inside a filter.
        let _ = self.handle.set_forwarding(false);
    }
}

impl Endpoint for BenchHost {
    fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
        match lane {
            Lane::Data => self.data.as_fd(),
            Lane::Credits => self.credits.as_fd(),
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.data.send(message).map(|_| ()).map_err(io::Error::other)
    }

    fn is_connected(&self) -> bool {
        // It fails only for a host that was removed.
        self.peer.is_reachable().unwrap_or(false)
    }
}

/// Returns the policy in kronosnet's terms.
fn policy(plan: &Plan) -> kronosnet::Policy {
    match plan.policy {
        Policy::Passive => kronosnet::Policy::Passive,
        Policy::Active => kronosnet::Policy::Active,
        Policy::RoundRobin => kronosnet::Policy::RoundRobin,
    }
}

fn channel(lane: Lane) -> Channel {
    match lane {
        Lane::Data => Channel::ALL[0],
        Lane::Credits => Channel::ALL[1],
    }
}

/// A short interval makes the links come up quickly; a long timeout keeps them up on a machine under
/// full load.
const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(200),
    timeout: Duration::from_secs(10),
    precision: 2048,
};
/// Loopback, with a port that the kernel chooses.
const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
/// How long two hosts in this process may take to reach each other.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
