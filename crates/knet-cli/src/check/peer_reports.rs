//! The exchange of reports with the peers. Reads no clock and does no I/O.
//!
//! Each side repeatedly sends its report, and whether it has received the other's final report. So
//! both know when they may end, and no single message matters.

use std::collections::BTreeMap;
use std::time::Duration;

use kronosnet::{HostId, LinkId};

use crate::check::args::Exchange;
use crate::check::facts::PeerView;
use crate::check::report::{LinkReport, Message, Report, decode};

/// The reports of all peers.
#[derive(Debug)]
pub(crate) struct PeerReports {
    own: HostId,
    exchange: Exchange,
    /// How long to wait for reports once ours are final.
    timeout: Duration,
    peers: BTreeMap<HostId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    report: Option<Report>,
    is_other_version: bool,
    /// How often we have acknowledged its final report since it acknowledged ours.
    acknowledged: u32,
}

impl PeerReports {
    pub(crate) fn new(
        own: HostId,
        exchange: Exchange,
        timeout: Duration,
        peers: impl IntoIterator<Item = HostId>,
    ) -> Self {
        let peers = peers.into_iter().map(|host| (host, Peer::default())).collect();
        Self { own, exchange, timeout, peers }
    }

    /// Processes a received message. Ignores one that is invalid.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        match decode(self.own, bytes) {
            Message::Report { from, report } => {
                let Some(peer) = self.peers.get_mut(&from) else { return };
                // Messages may be reordered: an earlier report must not replace the final one.
                let is_final = peer.report.as_ref().is_some_and(|before| before.done);
                if report.done || !is_final {
                    peer.report = Some(report);
                }
            }
            Message::OtherVersion { from } => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.is_other_version = true;
                }
            }
            Message::Invalid => {}
        }
    }

    /// Returns the next message to send to a peer.
    pub(crate) fn report(&mut self, to: HostId, done: bool, links: Vec<LinkReport>) -> Report {
        let mut report = Report::new(self.own, to, done, links);
        let peer = self.peers.entry(to).or_default();
        // Only a final report is acknowledged, because earlier ones are replaced.
        if let Some(theirs) = peer.report.as_ref().filter(|theirs| theirs.done) {
            report.has_yours = true;
            peer.acknowledged += u32::from(theirs.has_yours);
        }
        report
    }

    /// Returns `true` if the exchange with a peer is complete, `waited` after our results were final, or
    /// if the peer is not there. A peer that is may still need our answers for its own test.
    pub(crate) fn is_over(&self, host: HostId, is_there: bool, waited: Duration) -> bool {
        if !is_there || waited >= self.timeout {
            return true;
        }
        if self.exchange == Exchange::Never {
            return waited >= GRACE;
        }
        let Some(peer) = self.peers.get(&host) else { return true };
        match &peer.report {
            Some(theirs) => {
                theirs.done && theirs.has_yours && peer.acknowledged >= ACKNOWLEDGEMENTS
            }
            None if peer.is_other_version => true,
            None => self.exchange == Exchange::Auto && waited >= GRACE,
        }
    }

    /// Returns what a peer reports about a link.
    pub(crate) fn view(&self, host: HostId, link: LinkId) -> PeerView {
        let Some(peer) = self.peers.get(&host) else { return PeerView::Unknown };
        match &peer.report {
            Some(report) => report
                .link(link)
                .map_or(PeerView::NotPlanned, |there| PeerView::Report(there.clone())),
            None if peer.is_other_version => PeerView::OtherVersion,
            None if self.exchange == Exchange::Always => PeerView::Missing,
            None => PeerView::Unknown,
        }
    }
}

/// How long to wait for the first report of a peer that may not run `knet check`, or may not be able to
/// send it.
const GRACE: Duration = Duration::from_secs(2);
/// How often to acknowledge a peer's final report: the peer waits for one of these messages.
const ACKNOWLEDGEMENTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [HostId; 2] = [HostId::new(1), HostId::new(2)];
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn link(up: bool) -> LinkReport {
        let (latency_us, path_mtu) = (None, None);
        LinkReport { link: 0, up, sent: 5, answered: 5, latency_us, path_mtu, heard: 9 }
    }

    fn pair(exchange: Exchange) -> [PeerReports; 2] {
        [0, 1].map(|i| PeerReports::new(HOSTS[i], exchange, TIMEOUT, [HOSTS[1 - i]]))
    }

    /// Lets both send once. The messages selected by `lost` do not arrive.
    fn round(pair: &mut [PeerReports; 2], done: [bool; 2], lost: [bool; 2]) {
        for from in [0, 1] {
            let report = pair[from].report(HOSTS[1 - from], done[from], vec![link(done[from])]);
            if !lost[from] {
                pair[1 - from].receive(&report.encode().unwrap());
            }
        }
    }

    fn over(pair: &[PeerReports; 2], waited: Duration) -> [bool; 2] {
        [0, 1].map(|i| pair[i].is_over(HOSTS[1 - i], true, waited))
    }

    const ZERO: LinkId = LinkId::ALL[0];

    #[test]
    fn both_end_once_both_have_the_final_reports() {
        let mut pair = pair(Exchange::Auto);
        round(&mut pair, [false, false], [false, false]);
        for _ in 0..10 {
            round(&mut pair, [true, false], [false, false]);
            assert_eq!(over(&pair, GRACE), [false, false], "the second is not done");
        }
        for _ in 0..ACKNOWLEDGEMENTS + 1 {
            round(&mut pair, [true, true], [false, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [true, true]);
        assert_eq!(pair[0].view(HOSTS[1], ZERO), PeerView::Report(link(true)));
    }

    #[test]
    fn neither_ends_before_the_other_has_its_report() {
        let mut pair = pair(Exchange::Auto);
        for _ in 0..10 {
            round(&mut pair, [true, true], [true, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [false, false]);
        round(&mut pair, [true, true], [false, false]);
        assert_eq!(over(&pair, Duration::ZERO), [false, false], "lost messages do not count");
        for _ in 0..ACKNOWLEDGEMENTS {
            round(&mut pair, [true, true], [false, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [true, true]);
    }

    #[test]
    fn the_wait_for_silent_peers_depends_on_the_option() {
        let over = |exchange, waited| over(&pair(exchange), waited)[0];
        assert!(!over(Exchange::Never, GRACE / 2) && over(Exchange::Never, GRACE));
        assert!(!over(Exchange::Auto, GRACE / 2) && over(Exchange::Auto, GRACE));
        assert!(!over(Exchange::Always, TIMEOUT / 2) && over(Exchange::Always, TIMEOUT));
        let alone = pair(Exchange::Always);
        assert!(alone[0].is_over(HOSTS[1], false, Duration::ZERO), "it is not there");
        assert_eq!(alone[0].view(HOSTS[1], ZERO), PeerView::Missing);
        assert_eq!(pair(Exchange::Auto)[0].view(HOSTS[1], ZERO), PeerView::Unknown);
    }

    #[test]
    fn late_and_invalid_messages_change_nothing() {
        let [mut one, mut two] = pair(Exchange::Auto);
        let early = two.report(HOSTS[0], false, vec![link(false)]).encode().unwrap();
        let last = two.report(HOSTS[0], true, vec![link(true)]).encode().unwrap();
        one.receive(&last);
        one.receive(&early);
        one.receive(b"good morning");
        assert_eq!(one.view(HOSTS[1], ZERO), PeerView::Report(link(true)));
        assert_eq!(one.view(HOSTS[1], LinkId::ALL[1]), PeerView::NotPlanned);
        let other = br#"{"knet_check":9,"from":2,"to":1}"#;
        let [mut one, _] = pair(Exchange::Always);
        one.receive(other);
        assert_eq!(one.view(HOSTS[1], ZERO), PeerView::OtherVersion);
        assert!(one.is_over(HOSTS[1], true, Duration::ZERO));
    }
}
