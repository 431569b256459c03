//! The outcome of a check, for scripts and for people.
//!
//! These types are the JSON schema of `knet check --format json`, which `docs/operating.md`
//! describes. Fields may be added; [`Verdict::schema`] rises if one changes its meaning or goes away.

use std::fmt::Write;

use kronosnet::{DropStats, HostId};
use serde::Serialize;

use crate::check::diagnose::{Facts, PeerView, diagnose};
use crate::check::finding::{Finding, Severity, lost_percent};
use crate::check::report::LinkReport;
use crate::output::{aligned, latency, or_dash};

/// The whole.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// Version of this form.
    schema: u32,
    /// Our own host id.
    id: u16,
    pub(crate) ok: bool,
    pub(crate) verdict: String,
    /// In the order of hosts and links.
    links: Vec<LinkVerdict>,
    /// What is to be said of no link in particular.
    notes: Vec<Note>,
}

#[derive(Clone, Debug, Serialize)]
struct LinkVerdict {
    host: u16,
    link: u8,
    local: String,
    remote: String,
    ok: bool,
    verdict: String,
    findings: Vec<Note>,
    up: bool,
    latency_us: Option<u64>,
    pings_sent: u64,
    pings_answered: u64,
    loss_percent: Option<f64>,
    path_mtu: Option<usize>,
    data_mtu: usize,
    pings_heard: u64,
    peer: Option<LinkReport>,
}

/// A finding.
#[derive(Clone, Debug, Serialize)]
struct Note {
    /// A word for scripts.
    code: &'static str,
    severity: &'static str,
    /// A sentence for people.
    text: String,
}

impl Verdict {
    pub(crate) fn new(own: HostId, facts: &[Facts], strays: &DropStats) -> Self {
        let links: Vec<LinkVerdict> = facts.iter().map(LinkVerdict::new).collect();
        let faulty: Vec<String> = links
            .iter()
            .filter(|link| !link.ok)
            .map(|link| format!("link {} to host {}", link.link, link.host))
            .collect();
        let count = links.len();
        let verdict = match (faulty.len(), count) {
            (0, 1) => "the link is fine".to_owned(),
            (0, _) => format!("all {count} links are fine"),
            (bad, _) => format!("{bad} of {count} links at fault: {}", faulty.join(", ")),
        };
        let notes = of_strays(strays).iter().map(Note::from).collect();
        Self { schema: 1, id: own.get(), ok: faulty.is_empty(), verdict, links, notes }
    }

    /// A line for each link, and one for the whole.
    pub(crate) fn to_table(&self) -> String {
        let mut rows =
            vec![["HOST", "LINK", "LATENCY", "LOSS", "MTU", "VERDICT"].map(String::from)];
        rows.extend(self.links.iter().map(LinkVerdict::cells));
        let mut text = aligned(&rows);
        // Writing to a string cannot fail.
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", note.text);
        }
        let _ = writeln!(text, "verdict: {}", self.verdict);
        text
    }
}

impl LinkVerdict {
    fn new(facts: &Facts) -> Self {
        let findings = diagnose(facts);
        let path = facts.planned.path;
        let loss = |counted: crate::check::probe::Counted| {
            let percent = lost_percent(counted.sent, counted.answered);
            (percent * 10.0).round() / 10.0
        };
        let counted = facts.counted.unwrap_or(facts.in_all);
        Self {
            host: path.host.get(),
            link: facts.planned.id.get(),
            local: path.local.to_string(),
            remote: path.remote.to_string(),
            ok: !findings.iter().any(Finding::is_fault),
            verdict: words(&findings, &facts.peer),
            findings: findings.iter().map(Note::from).collect(),
            up: facts.state.is_up(),
            latency_us: facts.latency_us,
            pings_sent: counted.sent,
            pings_answered: counted.answered,
            loss_percent: facts.counted.map(loss),
            path_mtu: facts.path_mtu,
            data_mtu: facts.data_mtu,
            pings_heard: facts.heard,
            peer: match &facts.peer {
                PeerView::Sees(there) => Some(there.clone()),
                _ => None,
            },
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.host.to_string(),
            self.link.to_string(),
            or_dash(self.latency_us.map(latency)),
            or_dash(self.loss_percent.map(|percent| format!("{percent} %"))),
            or_dash(self.path_mtu.map(|mtu| mtu.to_string())),
            self.verdict.clone(),
        ]
    }
}

impl From<&Finding> for Note {
    fn from(finding: &Finding) -> Self {
        let severity = match finding.severity() {
            Severity::Fault => "fault",
            Severity::Warning => "warning",
        };
        Self { code: finding.code(), severity, text: finding.to_string() }
    }
}

/// One line: faults first.
fn words(findings: &[Finding], peer: &PeerView) -> String {
    let texts = |is_fault| -> Vec<String> {
        let some = findings.iter().filter(|finding| finding.is_fault() == is_fault);
        some.map(ToString::to_string).collect()
    };
    let (faults, warnings) = (texts(true), texts(false));
    if !faults.is_empty() {
        return format!("FAULT: {}", [faults, warnings].concat().join("; "));
    }
    let seen = match peer {
        PeerView::Sees(_) => "ok from both sides",
        _ => "ok from here",
    };
    if warnings.is_empty() { seen.into() } else { format!("{seen}, but {}", warnings.join("; ")) }
}

/// What packets that were thrown away say of the plan.
fn of_strays(strays: &DropStats) -> Vec<Finding> {
    let counted = [
        (strays.unknown_host, Finding::StrangeHosts(strays.unknown_host)),
        (strays.unknown_link, Finding::StrangeLinks(strays.unknown_link)),
        (strays.wrong_source, Finding::StrangeAddresses(strays.wrong_source)),
        (strays.malformed, Finding::StrangePackets(strays.malformed)),
    ];
    counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, finding)| finding).collect()
}

#[cfg(test)]
mod tests {
    use kronosnet::{DownReason, LinkState};

    use super::*;
    use crate::check::example::{healthy, silent, there};
    use crate::check::probe::Counted;
    use crate::output::schema::expect_fields;

    fn planned(facts: Facts, link: usize, path: &str) -> Facts {
        let mut facts = facts;
        facts.planned.id = kronosnet::LinkId::ALL[link];
        facts.planned.path = path.parse().unwrap();
        facts
    }

    /// One link of each kind: fine, lossy, narrow, refused.
    fn verdict() -> Verdict {
        let lossy = Facts {
            counted: Some(Counted { sent: 50, answered: 35 }),
            peer: PeerView::Sees(LinkReport { answered: 36, ..there() }),
            ..healthy()
        };
        let narrow =
            Facts { path_mtu: Some(1400), data_mtu: 1346, peer: PeerView::Unasked, ..healthy() };
        let state = LinkState::Down(DownReason::TransportError { errno: 111 });
        let refused = Facts { state, ..silent() };
        let facts = [
            healthy(),
            planned(lossy, 1, "2:10.0.1.1:5405=10.0.1.2:5405"),
            planned(narrow, 0, "3:10.0.0.1:5405=10.0.0.3:5405"),
            planned(refused, 1, "3:10.0.1.1:5405=10.0.1.3:5405"),
        ];
        Verdict::new(HostId::new(1), &facts, &DropStats::default())
    }

    /// The example for people who have not run it yet is what they will see.
    #[test]
    fn the_example_in_the_documentation_is_true() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("```text\nHOST  LINK  LATENCY").expect("an example");
        let (example, _) = rest.split_once("```").expect("its end");
        let expected = verdict().to_table();
        assert_eq!(format!("HOST  LINK  LATENCY{example}"), expected, "it should be:\n{expected}");
    }

    #[test]
    fn scripts_get_the_fields_that_are_documented() {
        let verdict = Verdict { notes: vec![(&Finding::StrangeHosts(1)).into()], ..verdict() };
        expect_fields(
            verdict,
            "schema id ok verdict notes links host link local remote findings code severity text \
             up latency_us pings_sent pings_answered loss_percent path_mtu data_mtu pings_heard \
             peer sent answered heard",
        );
    }

    #[test]
    fn a_cluster_is_as_good_as_its_worst_link() {
        let verdict = verdict();
        assert!(!verdict.ok);
        assert_eq!(verdict.verdict, "2 of 4 links at fault: link 1 to host 2, link 1 to host 3");
        assert_eq!(verdict.links.iter().filter(|link| link.ok).count(), 2);
        let fine = Verdict::new(HostId::new(1), &[healthy()], &DropStats::default());
        assert!(fine.ok && fine.verdict == "the link is fine");
    }
}
