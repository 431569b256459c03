//! The number of messages or datagrams that are read with one system call.

use crate::io::batch::BATCH;

/// How many messages to read with one system call: as many as there is room for, but of big ones only
/// as many as stay in the processor's caches until they are passed on.
#[derive(Debug)]
pub(crate) struct ReadLimit(usize);

impl ReadLimit {
    pub(crate) fn new() -> Self {
        Self(BATCH)
    }

    /// Returns the limit for the next read, 1 to [`BATCH`].
    pub(crate) fn get(&self) -> usize {
        self.0
    }

    /// Adapts the limit to the mean length of the messages that were read last.
    pub(crate) fn update(&mut self, messages: usize, bytes: usize) {
        if let Some(mean) = bytes.checked_div(messages) {
            self.0 = (CACHE_SHARE / mean.max(1)).clamp(1, BATCH);
        }
    }
}

/// How many bytes to read at once: half of the second-level cache that a core has at least, which leaves
/// room for the copies on the other side.
const CACHE_SHARE: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_messages_are_read_a_few_at_a_time() {
        let mut limit = ReadLimit::new();
        let mut after = |messages, bytes| {
            limit.update(messages, bytes);
            limit.get()
        };
        assert_eq!(after(0, 0), BATCH);
        assert_eq!(after(3, 3 * 64), BATCH);
        assert_eq!(after(16, 16 * 8192), 16);
        assert_eq!(after(0, 0), 16, "an empty read changes nothing");
        assert_eq!(after(1, 65_536), 2);
        assert_eq!(after(1, 1 << 20), 1);
        assert_eq!(after(5, 0), BATCH);
    }
}
