//! What happened to hosts and links, for the event log.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use kronosnet::{HostEvent, LinkEvent, MtuEvent};
use serde::Serialize;

use crate::monitor::snapshot::{Reason, link_name};

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Entry {
    /// In seconds since 1970.
    pub(crate) unix_time: u64,
    /// A word for scripts.
    pub(crate) event: &'static str,
    pub(crate) host: u16,
    /// Nothing if it is about the host.
    pub(crate) link: Option<u8>,
    /// A sentence for people.
    pub(crate) text: String,
}

impl From<&LinkEvent> for Entry {
    fn from(event: &LinkEvent) -> Self {
        let word = if event.state.is_up() { "link-up" } else { "link-down" };
        let state = Reason::of(event.state)
            .map_or_else(|| "up".to_owned(), |reason| format!("down: {}", reason.text));
        let text = format!("{} is {state}", link_name(event.host, event.link));
        Self::now(word, event.host.get(), Some(event.link.get()), text)
    }
}

impl From<&HostEvent> for Entry {
    fn from(event: &HostEvent) -> Self {
        let (word, state) =
            if event.reachable { (Self::REACHABLE, "") } else { (Self::UNREACHABLE, "not ") };
        let text = format!("host {} is {state}reachable", event.host);
        Self::now(word, event.host.get(), None, text)
    }
}

impl Entry {
    /// Of hosts and the handle, what packets carry follows from their links.
    pub(crate) fn of_mtu(event: &MtuEvent) -> Option<Self> {
        let MtuEvent::Link { host, link, data_mtu } = *event else { return None };
        let text = format!("{} carries {data_mtu} bytes a packet", link_name(host, link));
        Some(Self::now("mtu", host.get(), Some(link.get()), text))
    }

    pub(crate) const REACHABLE: &str = "reachable";
    pub(crate) const UNREACHABLE: &str = "unreachable";

    fn now(event: &'static str, host: u16, link: Option<u8>, text: String) -> Self {
        Self { unix_time: unix_time(), event, host, link, text }
    }
}

/// The newest entries.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
}

impl Log {
    /// How many entries are kept.
    const CAPACITY: usize = 1000;

    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() == Self::CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }
}

/// Seconds since 1970; 0 for a clock that is set before that.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of day of a moment, in UTC.
pub(crate) fn time_of_day(unix_time: u64) -> String {
    let second = unix_time % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_make_room() {
        let mut log = Log::default();
        for n in 0..=Log::CAPACITY {
            log.add(Entry::now("mtu", 2, None, n.to_string()));
        }
        let entries = log.entries();
        assert_eq!(entries.len(), Log::CAPACITY);
        assert_eq!((entries[0].text.as_str(), entries[999].text.as_str()), ("1", "1000"));
    }

    #[test]
    fn the_time_of_day_is_that_of_utc() {
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(1_000_000_000), "01:46:40");
    }
}
