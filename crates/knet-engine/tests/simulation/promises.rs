//! What must hold for links whose network works, checked repeatedly while a cluster runs:
//!
//! - a link whose paths have worked for [`Plan::recovery`], in both directions and between hosts
//!   that have run without a hitch, is up at both ends;
//! - on a link that has worked for [`MTU_FOUND`] each end knows how long packets may be;
//! - an end whose path does not take the least packets that carry data does not use the link, once
//!   it has had [`NARROW_FOUND`] to find out.

use std::time::{Duration, Instant};

use knet_engine::{DownReason, LinkState};

use crate::cluster::{Cluster, Plan};
use crate::network::Path;
use crate::node::promised;

impl Cluster {
    /// Panics if a link is not what it has to be by now.
    pub(crate) fn judge_links(&self) {
        for path in self.plan.paths() {
            let Some(since) = self.works_since(path) else { continue };
            let works_for = self.now.saturating_duration_since(since);
            if works_for < self.plan.recovery() {
                continue;
            }
            let engine = &self.nodes[&path.from].engine;
            let status = engine.link_status(self.now, path.to, path.link).unwrap();
            let mtu_since = self.network.mtu_since(path).max(self.interface_since);
            let mtu_for = works_for.min(self.now - mtu_since);
            let carries = self.takes(path) >= promised(path.link);
            let least = promised(path.link);
            let narrow = LinkState::Down(DownReason::PathTooNarrow { least });
            let expected = if carries { LinkState::Up } else { narrow };
            let other = if carries { narrow } else { LinkState::Up };
            let may_differ = mtu_for < self.plan.recovery() + NARROW_FOUND && mtu_for < works_for;
            let fits = status.state == expected || may_differ && status.state == other;
            assert!(fits, "{path:?} works for {works_for:?}, {mtu_for:?}: {status:?}");
            if carries
                && mtu_for >= self.plan.recovery() + MTU_FOUND
                && engine.manual_mtu().is_none()
            {
                let takes = Some(self.takes(path));
                assert_eq!(status.path_mtu, takes, "{path:?} for {mtu_for:?}: {status:?}");
            }
        }
    }

    /// The longest packet that a path takes.
    fn takes(&self, path: Path) -> usize {
        let takes = self.network.weather(path).mtu.map(usize::from);
        takes.unwrap_or_else(|| promised(path.link)).min(self.interface)
    }

    /// Since when packets go both ways on a link, and both ends handle them without a hitch.
    fn works_since(&self, path: Path) -> Option<Instant> {
        let Path { from, to, link } = path;
        let back = Path { from: to, to: from, link };
        let there = self.network.good_since(path)?.max(self.network.good_since(back)?);
        let ends = self.nodes.get(&from)?.steady_since.max(self.nodes.get(&to)?.steady_since);
        Some(there.max(ends))
    }
}

impl Plan {
    /// Within this time after the network has healed every link is up and stays up: one that was
    /// about to go down does so, then come the pongs that bring it up, one per interval.
    pub(crate) fn recovery(&self) -> Duration {
        let timers = self.timers;
        timers.timeout + timers.interval * (u32::from(self.pong_count) + 1)
    }
}

/// Within this time after a link works, or after its path has become narrower or wider, the longest
/// packet is known: the interval of the search, and the time that a search takes without a reported
/// limit.
pub(crate) const MTU_FOUND: Duration = Duration::from_secs(60 + 40);

/// Within this time after a path has become too narrow for data, or wide enough again, that is
/// known: between the checks of the size in use, or of the least size, are a few seconds. Without
/// data only the next search shows it.
pub(crate) const NARROW_FOUND: Duration = Duration::from_secs(60 + 10);
