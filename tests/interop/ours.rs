//! A host of kronosnet.

use std::net::SocketAddr;
use std::time::Duration;

use knet_tests::cluster::{channel, exactly, let_everybody_in, link_id};
use knet_tests::wait::until;
use kronosnet::{DatafdSource, Handle, Host, HostId, Link, LinkConfig, Policy};

use crate::node::{Care, Datafd, Filter, LinkView, Node};

#[derive(Debug)]
pub(crate) struct Ours {
    handle: Handle,
}

impl Ours {
    pub(crate) fn new(id: u16) -> Self {
        let handle = Handle::new(HostId::new(id)).unwrap();
        // Opening a stream once enables the events.
        let _ = handle.datafd_events();
        handle.set_forwarding(true).unwrap();
        Self { handle }
    }

    fn host(&self, peer: u16) -> Host {
        self.handle.host(HostId::new(peer)).unwrap()
    }

    fn its_link(&self, peer: u16, link: u8) -> Link {
        self.host(peer).link(link_id(link)).unwrap()
    }
}

impl Node for Ours {
    fn id(&self) -> u16 {
        self.handle.host_id().get()
    }

    fn open(&self, number: u8) -> Datafd {
        Box::new(self.handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap())
    }

    fn connect(
        &self,
        peer: u16,
        link: u8,
        local: SocketAddr,
        remote: Option<SocketAddr>,
        how: &Care,
    ) {
        let host = HostId::new(peer);
        let host = self.handle.host(host).or_else(|_| self.handle.add_host(host)).unwrap();
        let config = match remote {
            Some(remote) => LinkConfig::udp(local, remote),
            None => LinkConfig::udp_dynamic(local),
        };
        let link = host.add_link(link_id(link), config).unwrap();
        if remote.is_none() {
            let_everybody_in(&link);
        }
        link.set_ping_timers(how.timers()).unwrap();
        link.set_pong_count(how.pong_count).unwrap();
        link.enable().unwrap();
    }

    fn set_care(&self, peer: u16, link: u8, how: &Care) {
        let link = self.its_link(peer, link);
        link.set_ping_timers(how.timers()).unwrap();
        link.set_pong_count(how.pong_count).unwrap();
    }

    fn set_enabled(&self, peer: u16, link: u8, enabled: bool) {
        knet_tests::cluster::set_enabled(&self.its_link(peer, link), enabled);
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
            up: status.state.is_up(),
            latency: status.latency,
            mtu: status.data_mtu,
            tx_data: status.stats.tx_data_packets,
            rx_data: status.stats.rx_data_packets,
            tx_pings: status.stats.tx_ping_packets,
            rx_pings: status.stats.rx_ping_packets,
            rx_pongs: status.stats.rx_pong_packets,
            rx_probes: status.stats.rx_pmtu_packets,
        }
    }

    fn data_packets(&self, peer: u16) -> (u64, u64) {
        let links = self.host(peer).links().unwrap();
        let views = links.into_iter().map(|link| self.link(peer, link.get()));
        views.fold((0, 0), |(tx, rx), view| (tx + view.tx_data, rx + view.rx_data))
    }

    fn data_mtu(&self) -> usize {
        self.handle.data_mtu()
    }

    fn wait(&self, peer: u16, reachable: bool) {
        let host = self.host(peer);
        let what = format!("for kronosnet, host {peer} becomes reachable ({reachable})");
        until(&what, || host.is_reachable().unwrap() == reachable);
    }

    fn send_now(&self, number: u8, message: &[u8]) {
        self.handle.send_sync(channel(number), message).unwrap();
    }
}
