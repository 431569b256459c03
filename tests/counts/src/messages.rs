//! Messages from one host to another, each sent when the previous one has arrived.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use knet_fd::Received;
use kronosnet::{
    ChannelRequest, Datafd, DatafdSource, Handle, HostId, LinkConfig, LinkId, PingTimers,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What is sent, and how.
pub(crate) struct Messages {
    pub(crate) size: usize,
    /// The length of packets, or the longest possible.
    pub(crate) mtu: Option<u16>,
    /// Through the datafd, instead of with `Handle::send`.
    pub(crate) through_datafd: bool,
}

impl Messages {
    /// Sends and receives so many messages.
    pub(crate) fn exchange(&self, count: u64) -> Result<()> {
        let (near, far) = pair(self.mtu)?;
        let message = vec![7; self.size];
        let mut buffer = vec![0; self.size];
        for _ in 0..count {
            if self.through_datafd {
                let _ = knet_fd::send(&near, &message)?;
            } else {
                near.send(&message)?;
            }
            receive(&far, &mut buffer)?;
        }
        Ok(())
    }
}

/// Creates two hosts with a link over loopback, and returns the datafd of each.
fn pair(mtu: Option<u16>) -> Result<(Datafd, Datafd)> {
    // Busy-polling would make the number of instructions depend on time.
    let handles =
        [1, 2].map(|id| Handle::builder(HostId::new(id)).busy_poll(Duration::ZERO).build());
    let [one, two] = handles;
    let (one, two) = (one?, two?);
    let here = one.bind(([127, 0, 0, 1], 0).into())?;
    let there = two.bind(([127, 0, 0, 1], 0).into())?;
    let mut endpoints = Vec::new();
    for (handle, peer, local, remote) in [(&one, &two, &here, &there), (&two, &one, &there, &here)]
    {
        // Datafd events need a subscriber. A loss shows as a message that does not arrive.
        handle.on_datafd_event(|_, _| {});
        handle.set_manual_mtu(Some(mtu.unwrap_or(u16::MAX)))?;
        let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
        handle.set_forwarding(true)?;
        let host = handle.add_host(peer.host_id())?;
        let link = host.add_link(LinkId::ALL[0], LinkConfig::udp(local.addr(), remote.addr()))?;
        link.set_pong_count(1)?;
        link.set_ping_timers(QUICK)?;
        link.enable()?;
        endpoints.push((datafd, host, link));
    }
    for (_, host, link) in &endpoints {
        host.wait_until_reachable(TIMEOUT)?;
        // From here on only messages cause work.
        link.set_ping_timers(RARE)?;
    }
    let mut datafds = endpoints.into_iter().map(|(datafd, ..)| datafd);
    datafds.next().zip(datafds.next()).context("there are two hosts")
}

/// Waits for a message and receives it.
fn receive(datafd: &Datafd, buffer: &mut [u8]) -> Result<()> {
    loop {
        let timeout = PollTimeout::try_from(TIMEOUT)?;
        let ready = poll(&mut [PollFd::new(datafd.as_fd(), PollFlags::POLLIN)], timeout)?;
        ensure!(ready > 0, "a message was lost");
        match knet_fd::receive(datafd, buffer)? {
            Received::Message { len, truncated: false } if len == buffer.len() => return Ok(()),
            Received::WouldBlock => {}
            other => bail!("expected a whole message, received {other:?}"),
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);
/// The timers until the hosts have reached each other.
const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(100),
    timeout: Duration::from_secs(60),
    precision: 2048,
};
/// The timers afterwards: almost no pings.
const RARE: PingTimers = PingTimers {
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(300),
    precision: 2048,
};
