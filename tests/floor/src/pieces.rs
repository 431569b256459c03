//! The division of messages into datagrams. All messages of a benchmark have the same size, and so do
//! the datagrams.

/// The maximum length of a UDP datagram over IPv4, and of a run that the kernel segments.
pub(crate) const MAX_DATAGRAM: usize = 65_507;
/// The number of segments that every kernel with segmentation offload accepts at once.
const MAX_SEGMENTS: usize = 64;

/// The division of messages of one size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pieces {
    /// The length of a message, in bytes.
    pub(crate) message: usize,
    /// The length of a datagram before the kernel joins them, in bytes: a message, or half of one
    /// that is too long.
    pub(crate) datagram: usize,
}

impl Pieces {
    /// Returns the division of messages of this size, 1 to 65536.
    pub(crate) fn of(message: usize) -> Self {
        let datagram = if message <= MAX_DATAGRAM { message } else { message.div_ceil(2) };
        Self { message, datagram }
    }

    /// Returns the number of messages per system call, 0 if a message does not fit in a datagram.
    pub(crate) fn messages_per_call(self) -> usize {
        (MAX_DATAGRAM / self.message).min(MAX_SEGMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_limits_the_messages_per_call() {
        let per_call = |size| Pieces::of(size).messages_per_call();
        assert_eq!([8, 1024, 8192, 65_507, 65_536].map(per_call), [64, 63, 7, 1, 0]);
    }

    #[test]
    fn a_message_longer_than_a_datagram_is_halved() {
        assert_eq!(Pieces::of(65_536).datagram, 32_768);
        assert_eq!(Pieces::of(65_507).datagram, 65_507);
    }
}
