//! Turns the facts about a link into findings, the most useful ones first.

use kronosnet::{DownReason, LinkState};

use crate::check::facts::{Facts, PeerView, Stray, is_refusal};
use crate::check::finding::{ETHERNET, Finding};
use crate::check::probe::PingCount;

/// Returns the findings about a link; none if it is fine.
pub(crate) fn diagnose(facts: &Facts) -> Vec<Finding> {
    // What was measured refutes what was guessed. A link that went down may have lost its carrier.
    let works = if facts.was_up { facts.state.is_up() } else { facts.total.answered > 0 };
    let planned = facts.planned.findings.iter();
    let mut findings: Vec<_> =
        planned.filter(|found| !(works && found.is_guess())).cloned().collect();
    if facts.was_up {
        findings.extend(link_findings(facts));
    } else if !findings.iter().any(Finding::is_fault) {
        // A plan that cannot work would explain the silence.
        findings.push(silence_finding(facts));
    }
    findings.extend(peer_findings(facts));
    findings
}

/// Explains why a link never came up. What was heard outweighs a refusal, which may date from before
/// the process of the peer was started or from after its end.
fn silence_finding(facts: &Facts) -> Finding {
    let (host, remote) = (facts.planned.path.host, facts.planned.path.remote);
    let PingCount { sent, answered } = facts.total;
    if answered > 0 {
        // Both directions work if any ping was answered.
        return Finding::TooFewPongs { sent, answered };
    }
    if facts.heard > 0 {
        return if facts.from_other_port {
            Finding::WrongPort { host, remote }
        } else {
            Finding::OneWay { host }
        };
    }
    match facts.stray {
        Some(Stray::Host(other)) => {
            return Finding::WrongHostId { remote, planned: host, host: other };
        }
        Some(Stray::Link(link)) => {
            return Finding::WrongLinkId { remote, planned: facts.planned.id, link };
        }
        None => {}
    }
    if let Some(source) = facts.elsewhere {
        return Finding::WrongAddress { host, remote, source };
    }
    if matches!(&facts.peer, PeerView::Report(there) if there.heard > 0) {
        return Finding::InboundLost { host };
    }
    match facts.state {
        LinkState::Down(reason) if is_refusal(reason) => Finding::ConnectionRefused(remote),
        LinkState::Down(reason @ DownReason::TransportError { .. }) => {
            Finding::HostUnreachable { remote: remote.ip(), why: reason.to_string() }
        }
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
    if let Some(source) = facts.elsewhere {
        let (host, remote) = (facts.planned.path.host, facts.planned.path.remote);
        findings.push(Finding::TwoAddresses { host, remote, source });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kronosnet::{HostId, LinkId};

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
    fn packets_from_another_address_are_a_second_machine_or_the_only_one() {
        let elsewhere = Some("10.0.0.9:5405".parse().unwrap());
        let found = diagnose(&Facts { elsewhere, ..healthy() });
        let expected = "host 2 sends from 10.0.0.9:5405 too, not only from 10.0.0.2:5405: do two \
                        machines have its id?";
        assert_eq!((found.len(), found[0].to_string().as_str()), (1, expected));
        assert!(!found[0].is_fault(), "they may be forged");

        let found = diagnose(&Facts { elsewhere, ..silent() });
        let expected = "host 2 sends from 10.0.0.9:5405, and nothing from 10.0.0.2:5405 arrives: \
                        correct its address in this plan, or its local address there";
        assert_eq!((found.len(), found[0].to_string().as_str()), (1, expected));
        assert!(found[0].is_fault());
        let heard = diagnose(&Facts { elsewhere, heard: 3, ..silent() });
        assert_eq!(heard, [Finding::OneWay { host: HOST }]);
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
    fn what_was_heard_outweighs_a_refusal_before_or_after_it() {
        let refused = LinkState::Down(DownReason::TransportError { errno: 111 });
        let after = |state| Facts { state, heard: 7, ..silent() };
        assert_eq!(diagnose(&after(refused)), [Finding::OneWay { host: HOST }]);
        assert_eq!(diagnose(&after(silent().state)), [Finding::OneWay { host: HOST }]);

        let remote = silent().planned.path.remote;
        let now = Facts { from_other_port: true, ..after(refused) };
        assert_eq!(diagnose(&now), [Finding::WrongPort { host: HOST, remote }]);

        let (planned, host) = (HOST, HostId::new(9));
        let other_host = Facts { state: refused, stray: Some(Stray::Host(host)), ..silent() };
        assert_eq!(diagnose(&other_host), [Finding::WrongHostId { remote, planned, host }]);
        let expected =
            "10.0.0.2:5405 says that it is host 9: correct --id there, or host 2 in this plan";
        assert_eq!(texts(&other_host), [expected]);

        let [planned, link] = [LinkId::ALL[0], LinkId::ALL[1]];
        let other_link = Facts { state: refused, stray: Some(Stray::Link(link)), ..silent() };
        assert_eq!(diagnose(&other_link), [Finding::WrongLinkId { remote, planned, link }]);
        let expected = "10.0.0.2:5405 sends link 1 where link 0 is planned";
        assert!(texts(&other_link)[0].starts_with(expected), "{:?}", texts(&other_link));
    }

    #[test]
    fn a_plan_that_cannot_work_explains_the_silence() {
        let mut facts = silent();
        let finding = Finding::AddressNotLocal("10.0.0.1".parse().unwrap());
        facts.planned.findings.push(finding.clone());
        assert_eq!(diagnose(&facts), [finding]);
    }

    #[test]
    fn what_was_measured_is_never_overruled_by_what_was_guessed() {
        let guesses = [
            Finding::AddressNotLocal("10.0.0.1".parse().unwrap()),
            Finding::NoRoute { remote: "10.0.0.2".parse().unwrap(), why: "?".into() },
            Finding::InterfaceDown("eth0".into()),
            Finding::NoCarrier("eth0".into()),
        ];
        for guess in guesses {
            let with = |mut facts: Facts| {
                facts.planned.findings.push(guess.clone());
                diagnose(&facts)
            };
            assert_eq!(with(healthy()), [], "{guess}");
            let few = Facts { total: PingCount { sent: 200, answered: 3 }, ..silent() };
            assert_eq!(with(few), [Finding::TooFewPongs { sent: 200, answered: 3 }], "{guess}");

            // It may be true by now.
            let silence = Duration::from_secs(3);
            let state = LinkState::Down(DownReason::PongTimeout { silence });
            let down = with(Facts { state, ..healthy() });
            assert_eq!(down[0], guess);
            assert!(matches!(down[1], Finding::LinkWentDown(_)), "{down:?}");
        }
        let mut facts = healthy();
        facts.planned.findings.push(Finding::RemoteIsLocal);
        assert_eq!(diagnose(&facts), [Finding::RemoteIsLocal], "this is no guess");
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
