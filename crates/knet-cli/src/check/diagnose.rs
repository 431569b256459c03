//! What follows from what was seen of a link: findings, in the order in which they help.

use kronosnet::{DownReason, LinkState};

use crate::check::finding::{ETHERNET, Finding};
use crate::check::plan::Planned;
use crate::check::probe::Counted;
use crate::check::report::LinkReport;

/// All that is known of a link at the end.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) planned: Planned,
    pub(crate) state: LinkState,
    /// Whether it was up at some time.
    pub(crate) was_up: bool,
    /// Pings sent, and pongs received, since the start.
    pub(crate) in_all: Counted,
    /// Those that were counted while it was up.
    pub(crate) counted: Option<Counted>,
    /// Pings of the peer that arrived.
    pub(crate) heard: u64,
    /// The mean round trip, in microseconds.
    pub(crate) latency_us: Option<u64>,
    pub(crate) path_mtu: Option<usize>,
    pub(crate) data_mtu: usize,
    /// What the peer says.
    pub(crate) peer: PeerView,
}

/// What the other side says of the link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PeerView {
    /// It was not asked, or does not run `knet check`.
    Unasked,
    /// It should have said something.
    Missing,
    /// It runs a `knet check` of another version.
    OtherVersion,
    /// It knows no such link.
    NotPlanned,
    /// It sees this.
    Sees(LinkReport),
}

/// Everything that is to be said of a link; nothing if it is fine.
pub(crate) fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = facts.planned.findings.clone();
    // A plan that cannot work explains all that was seen.
    if !findings.iter().any(Finding::is_fault) {
        if facts.was_up {
            findings.extend(of_link(facts));
        } else {
            findings.push(of_silence(facts));
        }
    }
    findings.extend(of_peer(facts));
    findings
}

/// Why a link never came up.
fn of_silence(facts: &Facts) -> Finding {
    let (host, remote) = (facts.planned.path.host, facts.planned.path.remote);
    let Counted { sent, answered } = facts.in_all;
    if answered > 0 {
        return Finding::TooFewAnswers { sent, answered };
    }
    let arrive_there = matches!(&facts.peer, PeerView::Sees(there) if there.heard > 0);
    match facts.state {
        LinkState::Down(DownReason::TransportError { errno: ECONNREFUSED }) => {
            Finding::Refused(remote)
        }
        LinkState::Down(reason @ DownReason::TransportError { .. }) => {
            Finding::Unreachable { remote: remote.ip(), why: reason.to_string() }
        }
        _ if facts.heard > 0 => Finding::OneWay { host },
        _ if arrive_there => Finding::AnswersLost { host },
        _ => Finding::Silent { host, remote },
    }
}

/// What is not as it should be with a link that came up.
fn of_link(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let LinkState::Down(reason) = facts.state {
        findings.push(Finding::WentDown(reason.to_string()));
    }
    if let Some(Counted { sent, answered }) = facts.counted.filter(|c| c.answered < c.sent) {
        findings.push(Finding::Lost { sent, answered });
    }
    if facts.heard == 0 {
        findings.push(Finding::NoPings { host: facts.planned.path.host });
    }
    findings.extend(of_mtu(facts));
    findings
}

fn of_mtu(facts: &Facts) -> Option<Finding> {
    let Some(path) = facts.path_mtu else { return Some(Finding::NoMtu) };
    if let Some(interface) = &facts.planned.interface {
        // No IP packet is longer, whatever the interface takes.
        let mtu = interface.mtu.unwrap_or(path).min(usize::from(u16::MAX));
        if path < mtu && mtu > ETHERNET {
            let interface = interface.name.clone();
            return Some(Finding::NarrowerThanInterface { path, interface, mtu });
        }
    }
    (path < ETHERNET).then_some(Finding::NarrowMtu { path, data: facts.data_mtu })
}

/// What the peer sees otherwise than we do.
fn of_peer(facts: &Facts) -> Vec<Finding> {
    let host = facts.planned.path.host;
    let there = match &facts.peer {
        PeerView::Unasked => return Vec::new(),
        PeerView::Missing => return vec![Finding::NoResults { host }],
        PeerView::OtherVersion => return vec![Finding::OtherVersion { host }],
        PeerView::NotPlanned => return vec![Finding::NotPlannedThere { host }],
        PeerView::Sees(there) => there,
    };
    let mut findings = Vec::new();
    if facts.was_up && !there.up {
        findings.push(Finding::DownThere { host });
    }
    let (sent, answered) = (there.sent, there.answered);
    if answered < sent {
        findings.push(Finding::LostThere { host, sent, answered });
    }
    if let (Some(here), Some(there)) = (facts.path_mtu, there.path_mtu) {
        if here != there {
            findings.push(Finding::OtherMtuThere { host, here, there });
        }
    }
    findings
}

/// Of Linux, on all its architectures that matter here.
const ECONNREFUSED: i32 = 111;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kronosnet::HostId;

    use super::*;
    use crate::check::example::{healthy, interface, silent, there};

    const HOST: HostId = HostId::new(2);

    fn words(facts: &Facts) -> Vec<String> {
        diagnose(facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_said_of_a_link_that_is_fine() {
        assert_eq!(diagnose(&healthy()), []);
        assert_eq!(diagnose(&Facts { peer: PeerView::Unasked, ..healthy() }), []);
    }

    #[test]
    fn a_refused_port_is_named() {
        let state = LinkState::Down(DownReason::TransportError { errno: 111 });
        let said = words(&Facts { state, ..silent() });
        let expected = "the peer's port refuses packets: nothing listens at 10.0.0.2:5405; is the \
                        other side running, with this address and port?";
        assert_eq!(said, [expected]);
        let state = LinkState::Down(DownReason::TransportError { errno: 113 });
        let said = words(&Facts { state, ..silent() });
        assert!(said[0].contains("packets to 10.0.0.2 cannot be delivered"), "{said:?}");
    }

    #[test]
    fn silence_is_told_apart_by_its_direction() {
        assert!(words(&silent())[0].starts_with("no answer from 10.0.0.2:5405"));
        let one_way = diagnose(&Facts { heard: 7, ..silent() });
        assert_eq!(one_way, [Finding::OneWay { host: HOST }]);
        let heard_there = LinkReport { up: false, sent: 0, answered: 0, path_mtu: None, ..there() };
        let lost = diagnose(&Facts { peer: PeerView::Sees(heard_there), ..silent() });
        assert_eq!(lost, [Finding::AnswersLost { host: HOST }]);
        let in_all = Counted { sent: 200, answered: 3 };
        let few = diagnose(&Facts { in_all, ..silent() });
        assert_eq!(few, [Finding::TooFewAnswers { sent: 200, answered: 3 }]);
    }

    #[test]
    fn a_plan_that_cannot_work_explains_the_silence() {
        let mut facts = silent();
        let finding = Finding::NotLocal("10.0.0.1".parse().unwrap());
        facts.planned.findings.push(finding.clone());
        assert_eq!(diagnose(&facts), [finding]);
    }

    #[test]
    fn loss_is_told_from_both_ends() {
        let counted = Some(Counted { sent: 50, answered: 35 });
        let peer = PeerView::Sees(LinkReport { answered: 40, ..there() });
        let said = words(&Facts { counted, peer, ..healthy() });
        assert_eq!(
            said,
            ["30 % loss: 35 of 50 pings were answered", "host 2 sees 20 % loss: 40 of 50 answered"]
        );
    }

    #[test]
    fn a_narrow_path_is_told_with_what_it_is_compared_to() {
        let mtu = |path, interface_mtu| {
            let mut facts = Facts { path_mtu: Some(path), peer: PeerView::Unasked, ..healthy() };
            facts.planned.interface = Some(interface(interface_mtu));
            diagnose(&facts)
        };
        assert_eq!(mtu(1400, 1500), [Finding::NarrowMtu { path: 1400, data: 1446 }]);
        assert_eq!(mtu(1400, 1400), [Finding::NarrowMtu { path: 1400, data: 1446 }]);
        let interface = "eth0".to_owned();
        let jumbo = Finding::NarrowerThanInterface { path: 1500, interface, mtu: 9000 };
        assert_eq!(mtu(1500, 9000), [jumbo]);
        assert_eq!(mtu(9000, 9000), []);
        assert_eq!(mtu(65_535, 65_536), [], "the loopback interface");
    }

    #[test]
    fn what_the_peer_sees_otherwise_is_told() {
        let with = |peer| diagnose(&Facts { peer, ..healthy() });
        let sees = |there| with(PeerView::Sees(there));
        assert_eq!(sees(LinkReport { up: false, ..there() }), [Finding::DownThere { host: HOST }]);
        let other = Finding::OtherMtuThere { host: HOST, here: 1500, there: 1400 };
        assert_eq!(sees(LinkReport { path_mtu: Some(1400), ..there() }), [other]);
        assert_eq!(with(PeerView::Missing), [Finding::NoResults { host: HOST }]);
        assert_eq!(with(PeerView::OtherVersion), [Finding::OtherVersion { host: HOST }]);
        assert_eq!(with(PeerView::NotPlanned), [Finding::NotPlannedThere { host: HOST }]);
    }

    #[test]
    fn a_link_that_fails_or_is_not_enabled_there_is_told() {
        let silence = Duration::from_secs(3);
        let state = LinkState::Down(DownReason::PongTimeout { silence });
        let said = words(&Facts { state, ..healthy() });
        assert_eq!(said, ["it went down while it was tested: no pong for 3.0 s"]);
        let found = diagnose(&Facts { heard: 0, ..healthy() });
        assert_eq!(found, [Finding::NoPings { host: HOST }]);
        let found = diagnose(&Facts { path_mtu: None, ..healthy() });
        assert_eq!(found, [Finding::NoMtu]);
    }
}
