//! Members of a cluster, all in this process, each with its links in a namespace of its own.

use std::net::{IpAddr, SocketAddr};

use knet_tests::cluster::{exactly, link_id, watch};
use knet_tests::lan::{Family, Lan, address};
use knet_tests::namespace::Namespace;
use knet_tests::wait::next;
use knet_tests::wan::Wan;
use kronosnet::{
    Datafd, DatafdSource, EventStream, Handle, HostEvent, HostId, Link, LinkEvent, PingTimers,
    Policy,
};

/// The port of all hosts. Nothing else in their namespaces can take it.
pub(crate) const PORT: u16 = 5405;

/// A host with a datafd.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) datafd: Datafd,
    /// The events since its links came up.
    pub(crate) link_events: EventStream<LinkEvent>,
    pub(crate) host_events: EventStream<HostEvent>,
}

impl Member {
    /// Makes a host without links.
    pub(crate) fn new(id: u16) -> Self {
        Self::with(Handle::new(HostId::new(id)).unwrap())
    }

    /// Makes a host without links from a given handle.
    pub(crate) fn with(handle: Handle) -> Self {
        // Opening a stream once enables the events.
        let _ = handle.datafd_events();
        let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
        handle.set_forwarding(true).unwrap();
        let (link_events, host_events) = (handle.link_events(), handle.host_events());
        Self { handle, datafd, link_events, host_events }
    }

    /// Returns its id.
    pub(crate) fn id(&self) -> u16 {
        self.handle.host_id().get()
    }

    /// Adds an enabled link whose local end is in this namespace.
    pub(crate) fn connect(
        &self,
        namespace: &Namespace,
        (peer, link): (u16, u8),
        (local, remote): (IpAddr, IpAddr),
        timers: PingTimers,
    ) -> Link {
        let ends = [local, remote].map(|ip| SocketAddr::new(ip, PORT));
        namespace.enter(|| watch(&self.handle, peer, link, ends[0], ends[1], timers))
    }

    /// Returns a link as seen by it.
    pub(crate) fn link(&self, peer: u16, link: u8) -> Link {
        let host = self.handle.host(HostId::new(peer)).unwrap();
        host.link(link_id(link)).unwrap()
    }

    /// Waits until this many links have come up for the first time, and this many hosts are
    /// reachable.
    pub(crate) fn wait_for_first(&self, links: usize, hosts: usize) {
        for _ in 0..links {
            assert!(next(&self.link_events).state.is_up(), "nothing takes a link down yet");
        }
        for _ in 0..hosts {
            assert!(next(&self.host_events).reachable, "nothing takes a host down yet");
        }
    }

    /// Sets the policy of its links to all hosts.
    pub(crate) fn set_policy(&self, policy: Policy) {
        for host in self.handle.hosts() {
            self.handle.host(host).unwrap().set_policy(policy).unwrap();
        }
    }
}

/// Two hosts, with paths between them that can become narrow, slow or lossy.
#[derive(Debug)]
pub(crate) struct Distant {
    namespaces: [Namespace; 2],
    /// The path of each link.
    pub(crate) paths: Vec<Wan>,
    pub(crate) members: Vec<Member>,
}

impl Distant {
    /// Makes hosts without links, with paths for this many links. Their interfaces have this MTU.
    pub(crate) fn new(links: u8, interface_mtu: u16, seed: u64) -> Self {
        let namespaces = [Namespace::new(), Namespace::new()];
        let [one, two] = &namespaces;
        let path = |link: u8| Wan::new([one, two], link, interface_mtu, seed + u64::from(link));
        let paths = (0..links).map(path).collect();
        Self { paths, members: vec![Member::new(1), Member::new(2)], namespaces }
    }

    /// Connects the hosts, and waits until their links are up.
    pub(crate) fn connect(&self, family: Family, timers: PingTimers) {
        for (at, peer) in [(0, 1), (1, 0)] {
            let (member, peer) = (&self.members[at], &self.members[peer]);
            for link in (0..).take(self.paths.len()) {
                let ends = [member.id(), peer.id()].map(|host| address(family, host, link));
                let ends = (ends[0], ends[1]);
                member.connect(&self.namespaces[at], (peer.id(), link), ends, timers);
            }
        }
        self.members.iter().for_each(|member| member.wait_for_first(self.paths.len(), 1));
    }

    /// Returns the network of a host.
    pub(crate) fn namespace(&self, host: u16) -> &Namespace {
        &self.namespaces[usize::from(host) - 1]
    }
}

/// Makes all hosts of a network, with this many links between each pair, which are up.
pub(crate) fn members(lan: &Lan, links: u8, family: Family, timers: PingTimers) -> Vec<Member> {
    let members: Vec<_> = (1..=lan.hosts()).map(Member::new).collect();
    for at in &members {
        for peer in members.iter().map(Member::id).filter(|&peer| peer != at.id()) {
            for link in 0..links {
                let ends = (address(family, at.id(), link), address(family, peer, link));
                at.connect(lan.host(at.id()), (peer, link), ends, timers);
            }
        }
    }
    let peers = members.len() - 1;
    members.iter().for_each(|member| member.wait_for_first(peers * usize::from(links), peers));
    members
}
