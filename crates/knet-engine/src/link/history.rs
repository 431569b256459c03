//! The latest times at which a link came up or went down.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::LinkState;

/// A link came up or went down: an entry of [`LinkStatus::history`](crate::LinkStatus::history).
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use knet_engine::{Engine, EngineConfig, LinkPeer};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
/// let later = now + Duration::from_secs(60);
/// let history = engine.link_status(later, host, link)?.history;
/// assert!(history[0].state.is_up());
/// assert_eq!(history[0].age, Duration::from_secs(60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkChange {
    /// How long before the status was read, by a monotonic clock. Subtract it from
    /// `SystemTime::now()` for the time of day.
    pub age: Duration,
    /// The state that the link entered, with the reason if it went down.
    pub state: LinkState,
}

/// The latest changes of a link, oldest first. They alternate between up and down.
#[derive(Debug, Default)]
pub(crate) struct History {
    changes: VecDeque<(Instant, LinkState)>,
}

impl History {
    /// How many changes are kept: the last 16 times up and the last 16 times down, as in libknet
    /// (`MAX_LINK_EVENTS`).
    const CAPACITY: usize = 32;

    pub(crate) fn add(&mut self, now: Instant, state: LinkState) {
        if self.changes.len() == Self::CAPACITY {
            self.changes.pop_front();
        }
        self.changes.push_back((now, state));
    }

    pub(crate) fn read(&self, now: Instant) -> Vec<LinkChange> {
        let change = |&(at, state): &(Instant, LinkState)| LinkChange {
            age: now.saturating_duration_since(at),
            state,
        };
        self.changes.iter().map(change).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DownReason;

    #[test]
    fn the_last_sixteen_of_each_kind_are_kept() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut history = History::default();
        for n in 0..20 {
            history.add(at(2 * n), LinkState::Up);
            history.add(at(2 * n + 1), LinkState::Down(DownReason::Disabled));
        }
        let changes = history.read(at(40));
        assert_eq!(changes.iter().filter(|change| change.state.is_up()).count(), 16);
        assert_eq!(changes.len(), 32);
        let seconds: Vec<_> = changes.iter().map(|change| 40 - change.age.as_secs()).collect();
        assert!(seconds.iter().copied().eq(8..40), "{seconds:?}");
    }
}
