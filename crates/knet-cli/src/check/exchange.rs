//! Who has got whose results. Reads no clock and does no I/O.
//!
//! Each side keeps sending what it sees, and whether it has got the other's final results. So both
//! know when they may end, and no single message matters.

use std::collections::BTreeMap;
use std::time::Duration;

use kronosnet::{HostId, LinkId};

use crate::check::args::Exchange;
use crate::check::diagnose::PeerView;
use crate::check::report::{LinkReport, Message, Report, decode};

/// What is known of the results of all peers.
#[derive(Debug)]
pub(crate) struct Results {
    own: HostId,
    exchange: Exchange,
    /// How long is waited for them once ours are final.
    patience: Duration,
    peers: BTreeMap<HostId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    report: Option<Report>,
    is_other_version: bool,
    /// How often it was told that we have its final report, after it told us the same.
    thanked: u32,
}

impl Results {
    pub(crate) fn new(
        own: HostId,
        exchange: Exchange,
        patience: Duration,
        peers: impl IntoIterator<Item = HostId>,
    ) -> Self {
        let peers = peers.into_iter().map(|host| (host, Peer::default())).collect();
        Self { own, exchange, patience, peers }
    }

    /// Takes in a message, whatever it is.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        match decode(self.own, bytes) {
            Message::Report { from, report } => {
                let Some(peer) = self.peers.get_mut(&from) else { return };
                // Messages may overtake each other.
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
            Message::Strange => {}
        }
    }

    /// The next message for a peer.
    pub(crate) fn report(&mut self, to: HostId, done: bool, links: Vec<LinkReport>) -> Report {
        let mut report = Report::new(self.own, to, done, links);
        let peer = self.peers.entry(to).or_default();
        if let Some(theirs) = peer.report.as_ref().filter(|theirs| theirs.done) {
            report.has_yours = true;
            peer.thanked += u32::from(theirs.has_yours);
        }
        report
    }

    /// Whether nothing more has to be exchanged with a peer, so long after our results were final.
    pub(crate) fn is_over(&self, host: HostId, is_reachable: bool, waited: Duration) -> bool {
        if self.exchange == Exchange::Never || !is_reachable || waited >= self.patience {
            return true;
        }
        let Some(peer) = self.peers.get(&host) else { return true };
        match &peer.report {
            Some(theirs) => theirs.done && theirs.has_yours && peer.thanked >= THANKS,
            None if peer.is_other_version => true,
            None => self.exchange == Exchange::Auto && waited >= GRACE,
        }
    }

    /// What a peer says of a link.
    pub(crate) fn view(&self, host: HostId, link: LinkId) -> PeerView {
        let Some(peer) = self.peers.get(&host) else { return PeerView::Unasked };
        match &peer.report {
            Some(report) => report
                .link(link)
                .map_or(PeerView::NotPlanned, |there| PeerView::Sees(there.clone())),
            None if peer.is_other_version => PeerView::OtherVersion,
            None if self.exchange == Exchange::Always => PeerView::Missing,
            None => PeerView::Unasked,
        }
    }
}

/// How long somebody who runs `knet check` too may take to say so.
const GRACE: Duration = Duration::from_secs(2);
/// How often a peer is told that its results have arrived: it waits for one of these messages.
const THANKS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [HostId; 2] = [HostId::new(1), HostId::new(2)];
    const PATIENCE: Duration = Duration::from_secs(10);

    fn link(up: bool) -> LinkReport {
        let (latency_us, path_mtu) = (None, None);
        LinkReport { link: 0, up, sent: 5, answered: 5, latency_us, path_mtu, heard: 9 }
    }

    fn pair(exchange: Exchange) -> [Results; 2] {
        [0, 1].map(|i| Results::new(HOSTS[i], exchange, PATIENCE, [HOSTS[1 - i]]))
    }

    /// Lets both send once; what `lost` names does not arrive.
    fn round(pair: &mut [Results; 2], done: [bool; 2], lost: [bool; 2]) {
        for from in [0, 1] {
            let report = pair[from].report(HOSTS[1 - from], done[from], vec![link(done[from])]);
            if !lost[from] {
                pair[1 - from].receive(&report.encode().unwrap());
            }
        }
    }

    fn over(pair: &[Results; 2], waited: Duration) -> [bool; 2] {
        [0, 1].map(|i| pair[i].is_over(HOSTS[1 - i], true, waited))
    }

    const ZERO: LinkId = LinkId::ALL[0];

    #[test]
    fn both_end_when_both_have_the_final_results() {
        let mut pair = pair(Exchange::Auto);
        round(&mut pair, [false, false], [false, false]);
        for _ in 0..10 {
            round(&mut pair, [true, false], [false, false]);
            assert_eq!(over(&pair, GRACE), [false, false], "the second is not done");
        }
        for _ in 0..THANKS + 1 {
            round(&mut pair, [true, true], [false, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [true, true]);
        assert_eq!(pair[0].view(HOSTS[1], ZERO), PeerView::Sees(link(true)));
    }

    #[test]
    fn nobody_ends_before_the_other_has_its_results() {
        let mut pair = pair(Exchange::Auto);
        for _ in 0..10 {
            round(&mut pair, [true, true], [true, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [false, false]);
        round(&mut pair, [true, true], [false, false]);
        assert_eq!(over(&pair, Duration::ZERO), [false, false], "what was lost does not count");
        for _ in 0..THANKS {
            round(&mut pair, [true, true], [false, false]);
        }
        assert_eq!(over(&pair, Duration::ZERO), [true, true]);
    }

    #[test]
    fn those_who_say_nothing_are_waited_for_as_was_asked() {
        let over = |exchange, waited| over(&pair(exchange), waited)[0];
        assert!(over(Exchange::Never, Duration::ZERO));
        assert!(!over(Exchange::Auto, GRACE / 2) && over(Exchange::Auto, GRACE));
        assert!(!over(Exchange::Always, PATIENCE / 2) && over(Exchange::Always, PATIENCE));
        let alone = pair(Exchange::Always);
        assert!(alone[0].is_over(HOSTS[1], false, Duration::ZERO), "it cannot be reached");
        assert_eq!(alone[0].view(HOSTS[1], ZERO), PeerView::Missing);
        assert_eq!(pair(Exchange::Auto)[0].view(HOSTS[1], ZERO), PeerView::Unasked);
    }

    #[test]
    fn late_and_strange_messages_change_nothing() {
        let [mut one, mut two] = pair(Exchange::Auto);
        let early = two.report(HOSTS[0], false, vec![link(false)]).encode().unwrap();
        let last = two.report(HOSTS[0], true, vec![link(true)]).encode().unwrap();
        one.receive(&last);
        one.receive(&early);
        one.receive(b"good morning");
        assert_eq!(one.view(HOSTS[1], ZERO), PeerView::Sees(link(true)));
        assert_eq!(one.view(HOSTS[1], LinkId::ALL[1]), PeerView::NotPlanned);
        let other = br#"{"knet_check":9,"from":2,"to":1}"#;
        let [mut one, _] = pair(Exchange::Always);
        one.receive(other);
        assert_eq!(one.view(HOSTS[1], ZERO), PeerView::OtherVersion);
        assert!(one.is_over(HOSTS[1], true, Duration::ZERO));
    }
}
