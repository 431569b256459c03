//! The demo's two hosts and the two links between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Error, EventStream, Handle, Host, HostId,
    LinkConfig, LinkEvent, LinkId, Notification, PingTimers,
};

use crate::demo::report::Report;

/// The channel for the file.
pub(crate) const DATA: Channel = Channel::ALL[0];
/// The channel for acknowledgements.
pub(crate) const ACKS: Channel = Channel::ALL[1];
/// The link that carries data while it is up, because it has the higher priority.
pub(crate) const PREFERRED: LinkId = LinkId::ALL[0];

/// Both hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) one: Side,
    pub(crate) two: Side,
}

/// One host and its view of the other.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) handle: Handle,
    pub(crate) peer: Host,
    pub(crate) data: Datafd,
    pub(crate) acks: Datafd,
    events: EventStream<LinkEvent>,
}

impl Hosts {
    /// Creates two hosts, links them and waits until all links are up.
    ///
    /// # Errors
    /// Those of kronosnet; an error if a link does not come up.
    pub(crate) fn connect(report: &Arc<Report>) -> anyhow::Result<Self> {
        let (one, two) = (HostId::new(1), HostId::new(2));
        let hosts = Self { one: Side::new(one, two, report)?, two: Side::new(two, one, report)? };
        for network in NETWORKS {
            hosts.link(&network, report)?;
        }
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        hosts.one.wait_for_links(deadline, report)?;
        hosts.two.wait_for_links(deadline, report)?;
        Ok(hosts)
    }

    /// Links the hosts over one network, on ports that the kernel chooses.
    fn link(&self, network: &Network, report: &Report) -> Result<(), Error> {
        let [one, two] = network.addresses.map(|address| SocketAddr::new(IpAddr::V4(address), 0));
        let one = self.one.handle.bind(one)?;
        let two = self.two.handle.bind(two)?;
        report.line(format_args!("link {}: {} = {}", network.link, one.addr(), two.addr()));
        self.one.add_link(network.link, LinkConfig::udp(one.addr(), two.addr()))?;
        self.two.add_link(network.link, LinkConfig::udp(two.addr(), one.addr()))?;
        Ok(())
    }
}

impl Side {
    fn new(own: HostId, peer: HostId, report: &Arc<Report>) -> Result<Self, Error> {
        let handle = Handle::new(own)?;
        let events = handle.link_events();
        let reporter = report.clone();
        handle.on_datafd_event(move |handle, Notification { event, .. }| {
            let (own, channel, problem) = (handle.host_id(), event.channel, event.problem);
            reporter.line(format_args!("host {own}: channel {channel}: {problem}"));
        });
        handle.set_manual_mtu(Some(MTU))?;
        let data = handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(DATA))?;
        let acks = handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(ACKS))?;
        let peer = handle.add_host(peer)?;
        handle.set_forwarding(true)?;
        Ok(Self { handle, peer, data, acks, events })
    }

    /// Adds a link to the other host and enables it.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn add_link(&self, id: LinkId, config: LinkConfig) -> Result<(), Error> {
        let link = self.peer.add_link(id, config)?;
        link.set_ping_timers(PingTimers {
            interval: PING_INTERVAL,
            timeout: PONG_TIMEOUT,
            ..PingTimers::default()
        })?;
        link.set_pong_count(PONG_COUNT)?;
        link.set_priority(if id == PREFERRED { 10 } else { 5 })?;
        link.enable()
    }

    /// Returns the next link event, if there is one, and prints it to `report`.
    pub(crate) fn next_event(&self, report: &Report) -> Option<LinkEvent> {
        self.wait_for_event(Instant::now(), report)
    }

    fn wait_for_event(&self, deadline: Instant, report: &Report) -> Option<LinkEvent> {
        let event = self.events.recv_deadline(deadline).ok()?.event;
        let (own, peer, link, state) = (self.handle.host_id(), event.host, event.link, event.state);
        report.line(format_args!("host {own}: link {link} to host {peer} is {state}"));
        Some(event)
    }

    fn wait_for_links(&self, deadline: Instant, report: &Report) -> anyhow::Result<()> {
        let mut down = NETWORKS.map(|network| network.link).to_vec();
        while !down.is_empty() {
            let Some(event) = self.wait_for_event(deadline, report) else {
                let states: Vec<_> = self.peer.link_states()?;
                let states = states.iter().map(|(link, state)| format!("link {link} is {state}"));
                let states = states.collect::<Vec<_>>().join("; ");
                bail!("host {} cannot use all links: {states}", self.handle.host_id());
            };
            down.retain(|&link| link != event.link || !event.state.is_up());
        }
        Ok(())
    }
}

/// The network that one of the links uses.
struct Network {
    link: LinkId,
    /// The addresses of host 1 and host 2.
    addresses: [Ipv4Addr; 2],
}

/// All of 127.0.0.0/8 is loopback, so each link has addresses of its own, as with two network
/// interfaces.
const NETWORKS: [Network; 2] = [
    Network {
        link: PREFERRED,
        addresses: [Ipv4Addr::new(127, 0, 1, 1), Ipv4Addr::new(127, 0, 1, 2)],
    },
    Network {
        link: LinkId::ALL[1],
        addresses: [Ipv4Addr::new(127, 0, 2, 1), Ipv4Addr::new(127, 0, 2, 2)],
    },
];

/// The MTU of Ethernet, so that messages are split into fragments as on a real network.
const MTU: u16 = 1500;
/// Short, so that the demo is short.
const PING_INTERVAL: Duration = Duration::from_millis(20);
/// Much longer than the interval, so that a busy machine does not look like a dead link.
const PONG_TIMEOUT: Duration = Duration::from_millis(500);
/// How many pongs bring a link up.
const PONG_COUNT: u8 = 3;
/// How long the hosts may take to reach each other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
