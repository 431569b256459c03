//! What can be said of a planned link before anything is sent.

use std::net::IpAddr;

use kronosnet::LinkId;

use crate::check::finding::Finding;
use crate::check::interfaces::{Interface, NoWay, source, with_address};
use crate::peer::PeerLink;

/// A link of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) id: LinkId,
    pub(crate) path: PeerLink,
    /// Where its packets leave, if that is known.
    pub(crate) interface: Option<Interface>,
    pub(crate) findings: Vec<Finding>,
}

/// Looks at each link of a plan, given in any order.
pub(crate) fn examine(links: &[(LinkId, PeerLink)], interfaces: &[Interface]) -> Vec<Planned> {
    let ways: Vec<Planned> =
        links.iter().map(|&(id, path)| with_way(id, path, interfaces)).collect();
    let mut planned = ways.clone();
    for (index, link) in planned.iter_mut().enumerate() {
        if links.iter().any(|(_, other)| other.local == link.path.remote) {
            link.findings.push(Finding::ToOurselves);
        }
        // What is wrong with two links is told of the later one.
        for earlier in &ways[..index] {
            link.findings.extend(conflict(earlier, link));
        }
    }
    planned
}

/// Finds out where a link's packets leave.
fn with_way(id: LinkId, path: PeerLink, interfaces: &[Interface]) -> Planned {
    let mut planned = Planned { id, path, interface: None, findings: Vec::new() };
    match source(path.local, path.remote) {
        Ok(ip) => planned.interface = with_address(interfaces, ip).cloned(),
        Err(NoWay::NotLocal) => planned.findings.push(Finding::NotLocal(path.local.ip())),
        Err(NoWay::NoRoute(why)) => {
            // An interface that is off is why there is no route.
            planned.interface = with_address(interfaces, path.local.ip()).cloned();
            if planned.interface.as_ref().is_none_or(|interface| interface.is_up) {
                let remote = path.remote.ip();
                planned.findings.push(Finding::NoRoute { remote, why: why.to_string() });
            }
        }
    }
    match &planned.interface {
        Some(interface) if !interface.is_up => {
            planned.findings.push(Finding::InterfaceOff(interface.name.clone()));
        }
        Some(interface) if !interface.has_carrier => {
            planned.findings.push(Finding::NoCarrier(interface.name.clone()));
        }
        _ => {}
    }
    planned
}

/// What two links have in common that they should not.
fn conflict(earlier: &Planned, later: &Planned) -> Option<Finding> {
    let (one, two) = (earlier.path, later.path);
    let same_host = one.host == two.host;
    if one.remote == two.remote && (one.local == two.local || !same_host) {
        return Some(Finding::SameAddresses { host: one.host, link: earlier.id });
    }
    let (one, two) = (earlier.interface.as_ref()?, later.interface.as_ref()?);
    let same_network = one.network() == two.network() && one.prefix == two.prefix;
    (same_host && (same_network || one.name == two.name)).then(|| Finding::SameNetwork {
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

    /// The findings of each link. Addresses of 127.0.0.0/8, which every machine has, play those of
    /// interfaces.
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
        examine(&links, interfaces).into_iter().map(|link| link.findings).collect()
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
    fn links_that_fail_together_are_told() {
        let interfaces = [interface("eth0", "127.1.0.1", 16), interface("eth1", "127.1.0.9", 16)];
        let found =
            findings(&["2:127.1.0.1:1=127.1.0.2:1", "2:127.1.0.9:1=127.1.0.3:1"], &interfaces);
        let expected = Finding::SameNetwork {
            link: LinkId::new(0).unwrap(),
            network: "127.1.0.0/16".into(),
            interface: "eth1".into(),
        };
        assert_eq!(found, [vec![], vec![expected]]);
    }

    #[test]
    fn an_address_that_is_used_twice_is_told() {
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
        let same = Finding::SameAddresses { host: kronosnet::HostId::new(2), link };
        assert_eq!(found, [vec![], vec![same], vec![Finding::ToOurselves]]);
    }

    #[test]
    fn interfaces_that_do_not_work_are_named() {
        let eth0 = interface("eth0", "127.1.0.1", 16);
        let link = ["2:127.1.0.1:1=127.1.0.2:1"];
        let off = Interface { is_up: false, has_carrier: false, ..eth0.clone() };
        assert_eq!(findings(&link, &[off]), [[Finding::InterfaceOff("eth0".into())]]);
        let unplugged = Interface { has_carrier: false, ..eth0 };
        assert_eq!(findings(&link, &[unplugged]), [[Finding::NoCarrier("eth0".into())]]);
        let elsewhere = ["2:192.0.2.1:1=192.0.2.2:1"];
        let not_local = Finding::NotLocal("192.0.2.1".parse().unwrap());
        assert_eq!(findings(&elsewhere, &[]), [[not_local]]);
    }
}
