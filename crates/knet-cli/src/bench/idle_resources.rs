//! Hosts and datafds without traffic, to find out whether they make messages more expensive.

use std::net::UdpSocket;

use anyhow::Context;
use knet_bench::Plan;
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Handle, HostId, LinkConfig, LinkId,
};

/// Hosts that never answer, and datafds that are never used.
#[derive(Debug)]
pub(crate) struct IdleResources {
    /// The address of all these hosts. The socket is never read, so packets to it are dropped without
    /// an error.
    _sink: UdpSocket,
    _datafds: Vec<Datafd>,
}

impl IdleResources {
    /// Adds the planned hosts and datafds, except for the first host and the first two channels, which
    /// are measured. Each host has one link, which is pinged like any other.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn add(handle: &Handle, plan: &Plan) -> anyhow::Result<Self> {
        let sink = UdpSocket::bind("127.0.0.1:0").context("cannot bind a socket")?;
        let here = handle.bind(([127, 0, 0, 1], 0).into())?;
        for number in 1..plan.hosts {
            let host = handle.add_host(HostId::new(BASE_ID + number))?;
            let config = LinkConfig::udp(here.addr(), sink.local_addr()?);
            host.add_link(LinkId::ALL[0], config)?.enable()?;
        }
        let channels = Channel::ALL.into_iter().take(plan.channels.into()).skip(2);
        let datafds = channels
            .map(|channel| handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(channel)));
        Ok(Self { _sink: sink, _datafds: datafds.collect::<Result<_, _>>()? })
    }
}

/// The ids of the idle hosts start above this one, to leave the low ones to the measured hosts.
const BASE_ID: u16 = 60_000;
