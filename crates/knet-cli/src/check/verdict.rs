//! The outcome of a check: the JSON schema of `knet check --format json`, and the table for people.
//!
//! `docs/operating.md` describes the schema. Fields may be added; [`Verdict::schema`] increases when a
//! field is removed or changes its meaning.

use std::fmt::Write;

use kronosnet::{DropStats, HostId};
use serde::Serialize;

use crate::check::diagnose::diagnose;
use crate::check::facts::{Facts, PeerView};
use crate::check::finding::{Finding, Severity, lost_percent};
use crate::check::probe::PingCount;
use crate::check::report::LinkReport;
use crate::output::{aligned, latency, or_dash};

/// The outcome for all links.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// The version of the schema.
    schema: u32,
    /// Our own host id.
    id: u16,
    pub(crate) ok: bool,
    pub(crate) verdict: String,
    /// In ascending order of host and link ids.
    links: Vec<LinkVerdict>,
    /// Findings about no particular link.
    notes: Vec<Note>,
}

/// The outcome for one link.
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

/// A finding, as it is printed.
#[derive(Clone, Debug, Serialize)]
struct Note {
    /// A word for scripts.
    code: &'static str,
    severity: &'static str,
    /// A sentence for people.
    text: String,
}

impl Verdict {
    /// Judges all links. `strays` are the packets that belonged to none of them.
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
        let notes = stray_findings(strays).iter().map(Note::from).collect();
        Self { schema: 1, id: own.get(), ok: faulty.is_empty(), verdict, links, notes }
    }

    /// Formats a line per link, and the verdict.
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
        let loss = |counted: PingCount| {
            let percent = lost_percent(counted.sent, counted.answered);
            // One decimal suffices, and keeps the JSON readable.
            (percent * 10.0).round() / 10.0
        };
        let counted = facts.counted.unwrap_or(facts.total);
        Self {
            host: path.host.get(),
            link: facts.planned.id.get(),
            local: path.local.to_string(),
            remote: path.remote.to_string(),
            ok: !findings.iter().any(Finding::is_fault),
            verdict: summarize(&findings, &facts.peer),
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
                PeerView::Report(there) => Some(there.clone()),
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

/// Summarizes findings in one line, faults first.
fn summarize(findings: &[Finding], peer: &PeerView) -> String {
    let texts = |is_fault| -> Vec<String> {
        let some = findings.iter().filter(|finding| finding.is_fault() == is_fault);
        some.map(ToString::to_string).collect()
    };
    let (faults, warnings) = (texts(true), texts(false));
    if !faults.is_empty() {
        return format!("FAULT: {}", [faults, warnings].concat().join("; "));
    }
    let prefix = match peer {
        PeerView::Report(_) => "ok from both sides",
        _ => "ok from here",
    };
    if warnings.is_empty() {
        prefix.into()
    } else {
        format!("{prefix}, but {}", warnings.join("; "))
    }
}

/// Returns the findings about discarded packets.
fn stray_findings(strays: &DropStats) -> Vec<Finding> {
    let counted = [
        (strays.unknown_host, Finding::UnknownHostId(strays.unknown_host)),
        (strays.unknown_link, Finding::UnknownLinkId(strays.unknown_link)),
        (strays.wrong_source, Finding::WrongSourceAddress(strays.wrong_source)),
        (strays.malformed, Finding::MalformedPackets(strays.malformed)),
    ];
    counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, finding)| finding).collect()
}

#[cfg(test)]
mod tests {
    use kronosnet::{DownReason, LinkState};

    use super::*;
    use crate::check::example::{healthy, silent, there};
    use crate::output::schema::expect_fields;

    fn planned(facts: Facts, link: usize, path: &str) -> Facts {
        let mut facts = facts;
        facts.planned.id = kronosnet::LinkId::ALL[link];
        facts.planned.path = path.parse().unwrap();
        facts
    }

    /// Returns one link of each kind: fine, lossy, with a small MTU, with a closed port.
    fn verdict() -> Verdict {
        let lossy = Facts {
            counted: Some(PingCount { sent: 50, answered: 35 }),
            peer: PeerView::Report(LinkReport { answered: 36, ..there() }),
            ..healthy()
        };
        let narrow =
            Facts { path_mtu: Some(1400), data_mtu: 1346, peer: PeerView::Unknown, ..healthy() };
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
    fn scripts_get_the_documented_fields() {
        let verdict = Verdict { notes: vec![(&Finding::UnknownHostId(1)).into()], ..verdict() };
        expect_fields(
            verdict,
            "schema id ok verdict notes links host link local remote findings code severity text \
             up latency_us pings_sent pings_answered loss_percent path_mtu data_mtu pings_heard \
             peer sent answered heard",
        );
    }

    #[test]
    fn one_faulty_link_makes_the_cluster_faulty() {
        let verdict = verdict();
        assert!(!verdict.ok);
        assert_eq!(verdict.verdict, "2 of 4 links at fault: link 1 to host 2, link 1 to host 3");
        assert_eq!(verdict.links.iter().filter(|link| link.ok).count(), 2);
        let fine = Verdict::new(HostId::new(1), &[healthy()], &DropStats::default());
        assert!(fine.ok && fine.verdict == "the link is fine");
    }
}
