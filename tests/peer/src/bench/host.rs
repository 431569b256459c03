//! A host to measure: a handle of libknet with a datafd per lane, and links to the other host.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use knet_bench::{Endpoint, Lane, Mode, Plan, Policy};
use kronosnet::{Channel, ChannelRequest, HostId, LinkId, PingTimers};
use libknet_peer::libknet::{CallError, Datafd, Handle, Host, Library, Link};

use crate::args::BenchArgs;
use crate::exit::{Unreachable, Usage};

/// One of the two hosts. The fields are dropped in this order, the handle last.
#[derive(Debug)]
pub(super) struct BenchHost {
    data: Datafd,
    credits: Datafd,
    links: Vec<Link>,
    peer: Host,
    handle: Handle,
    timers: PingTimers,
}

impl BenchHost {
    /// Creates one host without links.
    pub(super) fn alone(library: &'static Library, plan: &Plan) -> anyhow::Result<Self> {
        if plan.links > 0 {
            let text = "an idle handle with links needs its peer in another process: use --role";
            return Err(Usage(text.to_owned()).into());
        }
        Ok(Self::new(library, plan, HostId::new(1), HostId::new(2))?)
    }

    /// Creates two hosts in this process, linked over loopback.
    pub(super) fn pair(library: &'static Library, plan: &Plan) -> anyhow::Result<(Self, Self)> {
        if plan.links == 0 {
            return Err(Usage("--links 0: messages need a link".to_owned()).into());
        }
        let (one, two) = (HostId::new(1), HostId::new(2));
        let mut near = Self::new(library, plan, one, two)?;
        let mut far = Self::new(library, plan, two, one)?;
        for id in LinkId::ALL.into_iter().take(plan.links.into()) {
            let (here, there) = free_addresses().context("cannot find free ports")?;
            near.add_link(id, here, there)?;
            far.add_link(id, there, here)?;
        }
        for host in [&near, &far] {
            host.wait_until_ready(READY_TIMEOUT)?;
        }
        Ok((near, far))
    }

    /// Creates one host, linked to a host in another process.
    pub(super) fn connect(library: &'static Library, args: &BenchArgs) -> anyhow::Result<Self> {
        let own = args.id.context("--role needs --id")?;
        let peer = args.peers.first().context("--role needs --peer")?.host;
        if peer == own || args.peers.iter().any(|link| link.host != peer) {
            let text = "--peer: all links have to lead to one other host";
            return Err(Usage(text.to_owned()).into());
        }
        let mut host = Self::new(library, &args.plan, own, peer)?;
        for (path, id) in args.peers.iter().zip(LinkId::ALL) {
            host.add_link(id, path.local, path.remote)?;
        }
        host.wait_until_ready(args.wait)?;
        Ok(host)
    }

    fn new(
        library: &'static Library,
        plan: &Plan,
        own: HostId,
        peer: HostId,
    ) -> Result<Self, CallError> {
        let handle = Handle::new(library, own)?;
        let data = handle.add_datafd(ChannelRequest::Exact(Channel::ALL[0]))?;
        let credits = handle.add_datafd(ChannelRequest::Exact(Channel::ALL[1]))?;
        handle.set_forwarding(true)?;
        let peer = handle.add_host(peer)?;
        peer.set_policy(policy(plan))?;
        let timers = if plan.mode == Mode::Idle { PingTimers::default() } else { QUICK };
        Ok(Self { data, credits, links: Vec::new(), peer, handle, timers })
    }

    fn add_link(
        &mut self,
        id: LinkId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), CallError> {
        let link = self.peer.add_link(id, local, Some(remote))?;
        link.set_ping_timers(self.timers)?;
        link.set_pong_count(1)?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Waits until all links are up and their path MTU is known.
    fn wait_until_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        self.peer.wait_until_reachable(timeout).map_err(|error| Unreachable(error.to_string()))?;
        while !self.is_ready()? {
            if Instant::now() >= deadline {
                let text = "not all links came up and found their MTU";
                return Err(Unreachable(text.to_owned()).into());
            }
            // libknet does not report a link that comes up, so poll. The wait ends early if the host
            // becomes unreachable.
            let _ = self.peer.wait_unreachable(Duration::from_millis(20));
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool, CallError> {
        let data_mtu = self.handle.data_mtu()?;
        for link in &self.links {
            let status = link.status()?;
            if !status.connected || status.overhead == 0 || status.mtu < data_mtu {
                return Ok(false);
            }
        }
        Ok(true)
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

/// Returns the policy in kronosnet's terms.
fn policy(plan: &Plan) -> kronosnet::Policy {
    match plan.policy {
        Policy::Passive => kronosnet::Policy::Passive,
        Policy::Active => kronosnet::Policy::Active,
        Policy::RoundRobin => kronosnet::Policy::RoundRobin,
    }
}

/// Returns two unused addresses. Another process may bind one before libknet does, which then fails.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let (one, two) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, two.local_addr()?))
}

/// The same as in `knet bench`.
const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(200),
    timeout: Duration::from_secs(10),
    precision: 2048,
};
/// How long two hosts in this process may take to reach each other.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
