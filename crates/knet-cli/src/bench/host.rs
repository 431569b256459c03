//! A host to measure: a handle with a datafd for each lane and links to the other host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use knet_bench::{Endpoint, Lane, Mode, Plan};
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Error, EventStream, Handle, Host, HostId, Link,
    LinkConfig, LinkId, MtuEvent, PingTimers,
};

use crate::args::BenchArgs;
use crate::bench::crowd::Crowd;
use crate::bench::policy;
use crate::exit::{Unreachable, Usage};
use crate::stderr;

/// One of the two hosts.
#[derive(Debug)]
pub(crate) struct BenchHost {
    handle: Handle,
    peer: Host,
    links: Vec<Link>,
    data: Datafd,
    credits: Datafd,
    searches: EventStream<MtuEvent>,
    timers: PingTimers,
    _crowd: Crowd,
}

impl BenchHost {
    /// One host that has nobody to talk to.
    ///
    /// # Errors
    /// Those of the calls to kronosnet; [`Usage`] if links are planned.
    pub(crate) fn alone(plan: &Plan) -> anyhow::Result<Self> {
        if plan.links > 0 {
            let text = "an idle handle with links has its peer in another process: use --role";
            return Err(Usage(text.to_owned()).into());
        }
        Self::new(plan, HostId::new(1), HostId::new(2))
    }

    /// Two hosts in this process, linked over loopback with ports that the kernel picks.
    ///
    /// # Errors
    /// Those of the calls to kronosnet; [`Unreachable`].
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
            host.wait_until_ready(PATIENCE)?;
        }
        Ok((near, far))
    }

    /// One host, linked to one in another process.
    ///
    /// # Errors
    /// Those of the calls to kronosnet; [`Usage`] if there is not exactly one peer; [`Unreachable`].
    pub(crate) fn connect(args: &BenchArgs) -> anyhow::Result<Self> {
        let own = args.id.context("--role needs --id")?;
        let peer = args.peers.first().context("--role needs --peer")?.host;
        if peer == own || args.peers.iter().any(|link| link.host != peer) {
            let text = "--peer: exactly one other host is measured, all links lead to it";
            return Err(Usage(text.to_owned()).into());
        }
        let mut host = Self::new(&args.plan, own, peer)?;
        for (path, id) in args.peers.iter().zip(LinkId::ALL) {
            host.add_link(id, LinkConfig::udp(path.local, path.remote))?;
        }
        host.wait_until_ready(args.wait)?;
        Ok(host)
    }

    fn new(plan: &Plan, own: HostId, peer: HostId) -> anyhow::Result<Self> {
        let builder = Handle::builder(own);
        let handle = match plan.busy_poll {
            Some(most) => builder.busy_poll(most).build()?,
            None => builder.build()?,
        };
        let searches = handle.mtu_events();
        // Told without being asked: it means that messages are lost.
        handle.on_datafd_event(|_, event| {
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
        let crowd = Crowd::add(&handle, plan)?;
        let timers = if plan.mode == Mode::Idle { PingTimers::default() } else { QUICK };
        let links = Vec::new();
        Ok(Self { handle, peer, links, data, credits, searches, timers, _crowd: crowd })
    }

    fn add_link(&mut self, id: LinkId, config: LinkConfig) -> Result<(), Error> {
        let link = self.peer.add_link(id, config)?;
        link.set_ping_timers(self.timers)?;
        link.set_pong_count(1)?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Waits until all links are up and it is known how long their packets may be: before that,
    /// messages are cut into more pieces than need be.
    fn wait_until_ready(&self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        self.peer.wait_reachable(patience).map_err(|error| Unreachable(error.to_string()))?;
        while !self.is_ready()? {
            if Instant::now() >= deadline {
                let text = "not all links came up and found their MTU";
                return Err(Unreachable(text.to_owned()).into());
            }
            // The event may be older than the link's state, so it is looked at now and then anyway.
            let _ = self.searches.recv_timeout(Duration::from_millis(20));
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

/// What was written last, such as a goodbye, is still sent.
impl Drop for BenchHost {
    fn drop(&mut self) {
        // It fails inside a filter only.
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
}

fn channel(lane: Lane) -> Channel {
    match lane {
        Lane::Data => Channel::ALL[0],
        Lane::Credits => Channel::ALL[1],
    }
}

/// Pings come fast, so that the links come up fast. What the timeout is for is not measured, and a
/// machine under full load must not look like a dead link.
const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(200),
    timeout: Duration::from_secs(10),
    precision: 2048,
};
/// Loopback, with a port that the kernel picks.
const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
/// How long two hosts in this process may take to find each other.
const PATIENCE: Duration = Duration::from_secs(60);
