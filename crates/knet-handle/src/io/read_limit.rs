//! How much to read at once.

use crate::tx::transmitter::BATCH;

/// How many messages are read with one system call: as many as there is room for, but of big ones only
/// as many as stay in the processor's caches until they are sent on.
#[derive(Debug)]
pub(crate) struct Portion(usize);

impl Portion {
    pub(crate) fn new() -> Self {
        Self(BATCH)
    }

    pub(crate) fn count(&self) -> usize {
        self.0
    }

    /// Goes by the messages that were read last.
    pub(crate) fn note(&mut self, messages: usize, bytes: usize) {
        if let Some(mean) = bytes.checked_div(messages) {
            self.0 = (BYTES / mean.max(1)).clamp(1, BATCH);
        }
    }
}

/// What a core has of second-level cache at least, with room for the copies on the other side.
const BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_messages_are_read_a_few_at_a_time() {
        let mut portion = Portion::new();
        let mut after = |messages, bytes| {
            portion.note(messages, bytes);
            portion.count()
        };
        assert_eq!(after(0, 0), BATCH);
        assert_eq!(after(3, 3 * 64), BATCH);
        assert_eq!(after(16, 16 * 8192), 16);
        assert_eq!(after(0, 0), 16, "nothing was learnt");
        assert_eq!(after(1, 65_536), 2);
        assert_eq!(after(1, 1 << 20), 1);
        assert_eq!(after(5, 0), BATCH);
    }
}
