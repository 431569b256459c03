//! The event log.

use std::collections::VecDeque;

use crate::monitor::log_entry::LogEntry;

/// The most recent entries.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
}

impl Log {
    /// The maximum number of entries.
    const CAPACITY: usize = 1000;

    /// Adds an entry. Discards the oldest one if the log is full.
    pub(crate) fn add(&mut self, entry: LogEntry) {
        if self.entries.len() == Self::CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Returns the entries, oldest first.
    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_discards_its_oldest_entries() {
        let entry = |number: usize| LogEntry {
            unix_time: 0,
            event: "mtu",
            host: 2,
            link: None,
            text: number.to_string(),
        };
        let mut log = Log::default();
        for number in 0..=Log::CAPACITY {
            log.add(entry(number));
        }
        let entries = log.entries();
        assert_eq!(entries.len(), Log::CAPACITY);
        assert_eq!((entries[0].text.as_str(), entries[999].text.as_str()), ("1", "1000"));
    }
}
