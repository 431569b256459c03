//! A host of libknet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use knet_tests::cluster::{channel, exactly, link_id};
use knet_tests::wait::DEADLINE;
use kronosnet::{HostId, Policy};
use libknet_peer::libknet::{Handle, Host, Library, Link};

use crate::node::{Care, Datafd, Filter, LinkView, Node};

#[derive(Debug)]
pub(crate) struct Theirs {
    id: u16,
    handle: Handle,
    hosts: Mutex<BTreeMap<u16, Host>>,
    links: Mutex<BTreeMap<(u16, u8), Link>>,
}

impl Theirs {
    pub(crate) fn new(id: u16) -> Self {
        let library = Library::open().unwrap();
        let handle = Handle::new(library, HostId::new(id)).unwrap();
        handle.set_forwarding(true).unwrap();
        // As in 1.25: with them, 1.35 accepts nothing over a dynamic link that has no list.
        handle.set_access_lists(false).unwrap();
        Self { id, handle, hosts: Mutex::default(), links: Mutex::default() }
    }

    fn host(&self, peer: u16) -> Host {
        self.hosts.lock().unwrap()[&peer].clone()
    }

    fn its_link(&self, peer: u16, link: u8) -> Link {
        self.links.lock().unwrap()[&(peer, link)].clone()
    }
}

impl Node for Theirs {
    fn id(&self) -> u16 {
        self.id
    }

    fn open(&self, number: u8) -> Datafd {
        Box::new(self.handle.add_datafd(exactly(number)).unwrap())
    }

    fn connect(
        &self,
        peer: u16,
        link: u8,
        local: SocketAddr,
        remote: Option<SocketAddr>,
        how: &Care,
    ) {
        let mut hosts = self.hosts.lock().unwrap();
        let host =
            hosts.entry(peer).or_insert_with(|| self.handle.add_host(HostId::new(peer)).unwrap());
        let added = host.add_link(link_id(link), local, remote).unwrap();
        added.set_ping_timers(how.timers()).unwrap();
        added.set_pong_count(how.pong_count).unwrap();
        added.enable().unwrap();
        self.links.lock().unwrap().insert((peer, link), added);
    }

    fn set_care(&self, peer: u16, link: u8, how: &Care) {
        let link = self.its_link(peer, link);
        link.set_ping_timers(how.timers()).unwrap();
        link.set_pong_count(how.pong_count).unwrap();
    }

    fn set_enabled(&self, peer: u16, link: u8, enabled: bool) {
        let link = self.its_link(peer, link);
        if enabled { link.enable() } else { link.disable() }.unwrap();
    }

    fn set_priority(&self, peer: u16, link: u8, priority: u8) {
        self.its_link(peer, link).set_priority(priority).unwrap();
    }

    fn set_policy(&self, peer: u16, policy: Policy) {
        self.host(peer).set_policy(policy).unwrap();
    }

    fn set_manual_mtu(&self, onwire: Option<u16>) {
        self.handle.set_manual_mtu(onwire).unwrap();
    }

    fn set_mtu_interval(&self, interval: Duration) {
        self.handle.set_mtu_interval(interval).unwrap();
    }

    fn set_filter(&self, filter: Filter) {
        self.handle
            .set_filter(move |message| {
                let decision = filter(message.direction(), message.channel(), message.payload());
                for host in decision.hosts {
                    message.add_destination(HostId::new(host));
                }
                if let Some(number) = decision.channel {
                    message.set_channel(channel(number));
                }
                decision.verdict
            })
            .unwrap();
    }

    fn link(&self, peer: u16, link: u8) -> LinkView {
        let status = self.its_link(peer, link).status().unwrap();
        LinkView {
            up: status.enabled && status.connected,
            latency: (status.stats.latency_samples > 0).then_some(status.latency),
            mtu: status.mtu,
            tx_data: status.stats.tx_data_packets,
            rx_data: status.stats.rx_data_packets,
            tx_pings: status.stats.tx_ping_packets,
            rx_pings: status.stats.rx_ping_packets,
            rx_pongs: status.stats.rx_pong_packets,
            rx_probes: status.stats.rx_pmtu_packets,
        }
    }

    fn data_packets(&self, peer: u16) -> (u64, u64) {
        let links: Vec<_> = self.links.lock().unwrap().keys().copied().collect();
        let views = links.iter().filter(|(host, _)| *host == peer);
        let views = views.map(|(_, link)| self.link(peer, *link));
        views.fold((0, 0), |(tx, rx), view| (tx + view.tx_data, rx + view.rx_data))
    }

    fn data_mtu(&self) -> usize {
        self.handle.data_mtu().unwrap()
    }

    fn wait(&self, peer: u16, reachable: bool) {
        let host = self.host(peer);
        let came = if reachable {
            host.wait_until_reachable(DEADLINE)
        } else {
            host.wait_unreachable(DEADLINE)
        };
        came.unwrap();
    }

    fn send_now(&self, number: u8, message: &[u8]) {
        self.handle.send_sync(channel(number), message).unwrap();
    }
}
