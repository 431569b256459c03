//! Examines the planned links without sending anything.

use std::net::IpAddr;

use kronosnet::LinkId;

use crate::args::PeerLink;
use crate::check::finding::Finding;
use crate::check::interfaces::{Interface, RouteError, Routing};

/// A link of the plan, with what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedLink {
    pub(crate) id: LinkId,
    pub(crate) path: PeerLink,
    /// The interface that its packets are sent on, if known.
    pub(crate) interface: Option<Interface>,
    pub(crate) findings: Vec<Finding>,
}

/// Examines the links of a plan, which may be in any order.
pub(crate) fn examine(links: &[(LinkId, PeerLink)], routing: &impl Routing) -> Vec<PlannedLink> {
    let routed: Vec<PlannedLink> =
        links.iter().map(|&(id, path)| with_route(id, path, routing)).collect();
    let mut planned = routed.clone();
    for (index, link) in planned.iter_mut().enumerate() {
        if links.iter().any(|(_, other)| other.local == link.path.remote) {
            link.findings.push(Finding::RemoteIsLocal);
        }
        // A conflict between two links is reported for the later one.
        for earlier in &routed[..index] {
            link.findings.extend(conflict(earlier, link));
        }
    }
    planned
}

/// Determines the interface of a link.
fn with_route(id: LinkId, path: PeerLink, routing: &impl Routing) -> PlannedLink {
    let mut planned = PlannedLink { id, path, interface: None, findings: Vec::new() };
    match routing.interface(path.local, path.remote) {
        Ok(interface) => planned.interface = Some(interface),
        Err(RouteError::NotLocal) => {
            planned.findings.push(Finding::AddressNotLocal(path.local.ip()));
        }
        Err(RouteError::NoRoute(why)) => {
            // A disabled interface explains the missing route, and is reported below.
            planned.interface = routing.with_address(path.local.ip());
            if planned.interface.as_ref().is_none_or(|interface| interface.is_up) {
                let remote = path.remote.ip();
                planned.findings.push(Finding::NoRoute { remote, why: why.to_string() });
            }
        }
    }
    match &planned.interface {
        Some(interface) if !interface.is_up => {
            planned.findings.push(Finding::InterfaceDown(interface.name.clone()));
        }
        Some(interface) if !interface.has_carrier => {
            planned.findings.push(Finding::NoCarrier(interface.name.clone()));
        }
        _ => {}
    }
    planned
}

/// Returns what two links share but should not.
fn conflict(earlier: &PlannedLink, later: &PlannedLink) -> Option<Finding> {
    let (one, two) = (earlier.path, later.path);
    let same_host = one.host == two.host;
    // Two hosts never share an address. Two links to one host may, from different local addresses.
    if one.remote == two.remote && (one.local == two.local || !same_host) {
        return Some(Finding::DuplicateAddresses { host: one.host, link: earlier.id });
    }
    let (one, two) = (earlier.interface.as_ref()?, later.interface.as_ref()?);
    let same_network = one.network() == two.network() && one.prefix == two.prefix;
    (same_host && (same_network || one.name == two.name)).then(|| Finding::SharedNetwork {
        link: earlier.id,
        network: network(two.network(), two.prefix),
        interface: two.name.clone(),
    })
}

fn network(address: IpAddr, prefix: u32) -> String {
    format!("{address}/{prefix}")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use super::*;

    fn interface(name: &str, address: &str, prefix: u32) -> Interface {
        Interface {
            name: name.into(),
            address: address.parse().unwrap(),
            prefix,
            is_up: true,
            has_carrier: true,
            mtu: Some(1500),
        }
    }

    /// A machine with these interfaces, on which each address has its own route.
    impl Routing for &[Interface] {
        fn interface(
            &self,
            local: SocketAddr,
            _remote: SocketAddr,
        ) -> Result<Interface, RouteError> {
            let interface = self.with_address(local.ip()).ok_or(RouteError::NotLocal)?;
            let unreachable = || io::Error::from(io::ErrorKind::NetworkUnreachable);
            let usable = interface.is_up.then_some(interface);
            usable.ok_or_else(|| RouteError::NoRoute(unreachable()))
        }

        fn with_address(&self, address: IpAddr) -> Option<Interface> {
            self.iter().find(|interface| interface.address == address).cloned()
        }
    }

    /// Returns the findings of each link.
    fn findings(links: &[&str], interfaces: &[Interface]) -> Vec<Vec<Finding>> {
        let mut counts = std::collections::BTreeMap::new();
        let links: Vec<(LinkId, PeerLink)> = links
            .iter()
            .map(|link| {
                let path: PeerLink = link.parse().unwrap();
                let count = counts.entry(path.host).or_insert(0);
                *count += 1;
                (LinkId::new(*count - 1).unwrap(), path)
            })
            .collect();
        examine(&links, &interfaces).into_iter().map(|link| link.findings).collect()
    }

    #[test]
    fn two_networks_are_fine_and_hosts_may_share_one() {
        let interfaces = [interface("eth0", "127.1.0.1", 16), interface("eth1", "127.2.0.1", 16)];
        let links = [
            "2:127.1.0.1:1=127.1.0.2:1",
            "2:127.2.0.1:1=127.2.0.2:1",
            "3:127.1.0.1:1=127.1.0.3:1",
            "3:127.2.0.1:1=127.2.0.3:1",
        ];
        assert_eq!(findings(&links, &interfaces), vec![Vec::new(); 4]);
    }

    #[test]
    fn links_that_fail_together_are_reported() {
        let interfaces = [interface("eth0", "127.1.0.1", 16), interface("eth1", "127.1.0.9", 16)];
        let found =
            findings(&["2:127.1.0.1:1=127.1.0.2:1", "2:127.1.0.9:1=127.1.0.3:1"], &interfaces);
        let expected = Finding::SharedNetwork {
            link: LinkId::new(0).unwrap(),
            network: "127.1.0.0/16".into(),
            interface: "eth1".into(),
        };
        assert_eq!(found, [vec![], vec![expected]]);
    }

    #[test]
    fn an_address_that_is_used_twice_is_reported() {
        let interfaces = [interface("eth0", "127.1.0.1", 16)];
        let found = findings(
            &[
                "2:127.1.0.1:1=127.1.0.2:1",
                "3:127.1.0.1:1=127.1.0.2:1",
                "4:127.1.0.1:2=127.1.0.1:1",
            ],
            &interfaces,
        );
        let link = LinkId::new(0).unwrap();
        let same = Finding::DuplicateAddresses { host: kronosnet::HostId::new(2), link };
        assert_eq!(found, [vec![], vec![same], vec![Finding::RemoteIsLocal]]);
    }

    #[test]
    fn interfaces_that_do_not_work_are_reported() {
        let eth0 = interface("eth0", "127.1.0.1", 16);
        let link = ["2:127.1.0.1:1=127.1.0.2:1"];
        let off = Interface { is_up: false, has_carrier: false, ..eth0.clone() };
        assert_eq!(findings(&link, &[off]), [[Finding::InterfaceDown("eth0".into())]]);
        let unplugged = Interface { has_carrier: false, ..eth0 };
        assert_eq!(findings(&link, &[unplugged]), [[Finding::NoCarrier("eth0".into())]]);
        let elsewhere = ["2:192.0.2.1:1=192.0.2.2:1"];
        let not_local = Finding::AddressNotLocal("192.0.2.1".parse().unwrap());
        assert_eq!(findings(&elsewhere, &[]), [[not_local]]);
    }
}
