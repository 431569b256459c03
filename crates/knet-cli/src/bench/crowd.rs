//! What a host has configured besides what is measured: does a message cost more because of it?

use std::net::UdpSocket;

use anyhow::Context;
use knet_bench::Plan;
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Handle, HostId, LinkConfig, LinkId,
};

/// Hosts that never answer, and datafds that nobody writes to.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Where the hosts should be: it is never read, so what comes is dropped without an error.
    _silence: UdpSocket,
    _datafds: Vec<Datafd>,
}

impl Crowd {
    /// Adds as many hosts and datafds as are planned besides the first host and the first two
    /// channels. The hosts have one link each, which is pinged like any other.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn add(handle: &Handle, plan: &Plan) -> anyhow::Result<Self> {
        let silence = UdpSocket::bind("127.0.0.1:0").context("binding a socket")?;
        let here = handle.bind(([127, 0, 0, 1], 0).into())?;
        for number in 1..plan.hosts {
            let host = handle.add_host(HostId::new(FIRST + number))?;
            let config = LinkConfig::udp(here.addr(), silence.local_addr()?);
            host.add_link(LinkId::ALL[0], config)?.enable()?;
        }
        let channels = Channel::ALL.into_iter().take(plan.channels.into()).skip(2);
        let datafds = channels
            .map(|channel| handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(channel)));
        Ok(Self { _silence: silence, _datafds: datafds.collect::<Result<_, _>>()? })
    }
}

/// Their ids come after this: nobody gives one of these to a host that is measured.
const FIRST: u16 = 60_000;
