//! Turns the facts about a link into findings, the most useful ones first.

use kronosnet::{DownReason, LinkState};
use nix::errno::Errno;

use crate::check::facts::{Facts, PeerView};
use crate::check::finding::{ETHERNET, Finding};
use crate::check::probe::PingCount;

/// Returns the findings about a link; none if it is fine.
pub(crate) fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = facts.planned.findings.clone();
    // A plan that cannot work explains everything else.
    if !findings.iter().any(Finding::is_fault) {
        if facts.was_up {
            findings.extend(link_findings(facts));
        } else {
            findings.push(silence_finding(facts));
        }
    }
    findings.extend(peer_findings(facts));
    findings
}

/// Explains why a link never came up.
fn silence_finding(facts: &Facts) -> Finding {
    let (host, remote) = (facts.planned.path.host, facts.planned.path.remote);
    let PingCount { sent, answered } = facts.total;
    if answered > 0 {
        // Both directions work if any ping was answered.
        return Finding::TooFewPongs { sent, answered };
    }
    let arrive_there = matches!(&facts.peer, PeerView::Report(there) if there.heard > 0);
    match facts.state {
        LinkState::Down(DownReason::TransportError { errno: ECONNREFUSED }) => {
            Finding::ConnectionRefused(remote)
        }
        LinkState::Down(reason @ DownReason::TransportError { .. }) => {
            Finding::HostUnreachable { remote: remote.ip(), why: reason.to_string() }
        }
        _ if facts.heard > 0 => Finding::OneWay { host },
        _ if arrive_there => Finding::InboundLost { host },
        _ => Finding::NoAnswer { host, remote },
    }
}

/// Returns what is wrong with a link that came up.
fn link_findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let LinkState::Down(reason) = facts.state {
        findings.push(Finding::LinkWentDown(reason.to_string()));
    }
    if let Some(PingCount { sent, answered }) = facts.counted.filter(|c| c.answered < c.sent) {
        findings.push(Finding::PingLoss { sent, answered });
    }
    if facts.heard == 0 {
        findings.push(Finding::PeerSendsNoPings { host: facts.planned.path.host });
    }
    findings.extend(mtu_finding(facts));
    findings
}

fn mtu_finding(facts: &Facts) -> Option<Finding> {
    let Some(path) = facts.path_mtu else { return Some(Finding::MtuUnknown) };
    if let Some(interface) = &facts.planned.interface {
        // The loopback interface has an MTU of 65536, but no IP packet is larger than 65535 bytes.
        let mtu = interface.mtu.unwrap_or(path).min(usize::from(u16::MAX));
        if path < mtu && mtu > ETHERNET {
            let interface = interface.name.clone();
            return Some(Finding::MtuBelowInterface { path, interface, mtu });
        }
    }
    (path < ETHERNET).then_some(Finding::MtuBelow1500 { path, data: facts.data_mtu })
}

/// Returns where the peer's report differs from ours.
fn peer_findings(facts: &Facts) -> Vec<Finding> {
    let host = facts.planned.path.host;
    let there = match &facts.peer {
        PeerView::Unknown => return Vec::new(),
        PeerView::Missing => return vec![Finding::NoReportFromPeer { host }],
        PeerView::OtherVersion => return vec![Finding::VersionMismatch { host }],
        PeerView::NotPlanned => return vec![Finding::LinkUnknownToPeer { host }],
        PeerView::Report(there) => there,
    };
    let mut findings = Vec::new();
    if facts.was_up && !there.up {
        findings.push(Finding::PeerReportsDown { host });
    }
    let (sent, answered) = (there.sent, there.answered);
    if answered < sent {
        findings.push(Finding::PeerReportsLoss { host, sent, answered });
    }
    if let (Some(here), Some(there)) = (facts.path_mtu, there.path_mtu) {
        if here != there {
            findings.push(Finding::MtuMismatch { host, here, there });
        }
    }
    findings
}

const ECONNREFUSED: i32 = Errno::ECONNREFUSED as i32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kronosnet::HostId;

    use super::*;
    use crate::check::example::{healthy, interface, silent, there};
    use crate::check::report::LinkReport;

    const HOST: HostId = HostId::new(2);

    fn texts(facts: &Facts) -> Vec<String> {
        diagnose(facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_that_is_fine_has_no_findings() {
        assert_eq!(diagnose(&healthy()), []);
        assert_eq!(diagnose(&Facts { peer: PeerView::Unknown, ..healthy() }), []);
    }

    #[test]
    fn a_closed_port_is_reported() {
        let state = LinkState::Down(DownReason::TransportError { errno: 111 });
        let found = texts(&Facts { state, ..silent() });
        let expected = "the peer's port is closed: nothing listens on 10.0.0.2:5405; is the other side \
                        running, with this address and port?";
        assert_eq!(found, [expected]);
        let state = LinkState::Down(DownReason::TransportError { errno: 113 });
        let found = texts(&Facts { state, ..silent() });
        assert!(found[0].contains("packets to 10.0.0.2 cannot be delivered"), "{found:?}");
    }

    #[test]
    fn the_direction_of_silence_is_reported() {
        assert!(texts(&silent())[0].starts_with("no answer from 10.0.0.2:5405"));
        let one_way = diagnose(&Facts { heard: 7, ..silent() });
        assert_eq!(one_way, [Finding::OneWay { host: HOST }]);
        let heard_there = LinkReport { up: false, sent: 0, answered: 0, path_mtu: None, ..there() };
        let lost = diagnose(&Facts { peer: PeerView::Report(heard_there), ..silent() });
        assert_eq!(lost, [Finding::InboundLost { host: HOST }]);
        let total = PingCount { sent: 200, answered: 3 };
        let few = diagnose(&Facts { total, ..silent() });
        assert_eq!(few, [Finding::TooFewPongs { sent: 200, answered: 3 }]);
    }

    #[test]
    fn a_plan_that_cannot_work_explains_the_silence() {
        let mut facts = silent();
        let finding = Finding::AddressNotLocal("10.0.0.1".parse().unwrap());
        facts.planned.findings.push(finding.clone());
        assert_eq!(diagnose(&facts), [finding]);
    }

    #[test]
    fn loss_is_reported_from_both_ends() {
        let counted = Some(PingCount { sent: 50, answered: 35 });
        let peer = PeerView::Report(LinkReport { answered: 40, ..there() });
        let found = texts(&Facts { counted, peer, ..healthy() });
        assert_eq!(
            found,
            [
                "30 % loss: 35 of 50 pings were answered",
                "host 2 reports 20 % loss: 40 of 50 pings were answered"
            ]
        );
    }

    #[test]
    fn a_small_path_mtu_is_reported_with_what_it_is_compared_to() {
        let mtu = |path, interface_mtu| {
            let mut facts = Facts { path_mtu: Some(path), peer: PeerView::Unknown, ..healthy() };
            facts.planned.interface = Some(interface(interface_mtu));
            diagnose(&facts)
        };
        assert_eq!(mtu(1400, 1500), [Finding::MtuBelow1500 { path: 1400, data: 1446 }]);
        assert_eq!(mtu(1400, 1400), [Finding::MtuBelow1500 { path: 1400, data: 1446 }]);
        let interface = "eth0".to_owned();
        let jumbo = Finding::MtuBelowInterface { path: 1500, interface, mtu: 9000 };
        assert_eq!(mtu(1500, 9000), [jumbo]);
        assert_eq!(mtu(9000, 9000), []);
        assert_eq!(mtu(65_535, 65_536), [], "the loopback interface");
    }

    #[test]
    fn differences_in_the_peers_report_are_reported() {
        let with = |peer| diagnose(&Facts { peer, ..healthy() });
        let sees = |there| with(PeerView::Report(there));
        assert_eq!(
            sees(LinkReport { up: false, ..there() }),
            [Finding::PeerReportsDown { host: HOST }]
        );
        let other = Finding::MtuMismatch { host: HOST, here: 1500, there: 1400 };
        assert_eq!(sees(LinkReport { path_mtu: Some(1400), ..there() }), [other]);
        assert_eq!(with(PeerView::Missing), [Finding::NoReportFromPeer { host: HOST }]);
        assert_eq!(with(PeerView::OtherVersion), [Finding::VersionMismatch { host: HOST }]);
        assert_eq!(with(PeerView::NotPlanned), [Finding::LinkUnknownToPeer { host: HOST }]);
    }

    #[test]
    fn a_link_that_fails_or_is_disabled_on_the_peer_is_reported() {
        let silence = Duration::from_secs(3);
        let state = LinkState::Down(DownReason::PongTimeout { silence });
        let found = texts(&Facts { state, ..healthy() });
        assert_eq!(found, ["the link went down during the test: no pong for 3.0 s"]);
        let found = diagnose(&Facts { heard: 0, ..healthy() });
        assert_eq!(found, [Finding::PeerSendsNoPings { host: HOST }]);
        let found = diagnose(&Facts { path_mtu: None, ..healthy() });
        assert_eq!(found, [Finding::MtuUnknown]);
    }
}
