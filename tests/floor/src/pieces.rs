//! The division of messages into datagrams. All messages of a run have the same size, and so have
//! the datagrams.

/// The maximum length of a UDP datagram over IPv4, and of a run that the kernel segments.
pub(crate) const LONGEST: usize = 65_507;
/// The number of segments that every kernel with segmentation offload accepts at once.
const MOST_SEGMENTS: usize = 64;

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
        let datagram = if message <= LONGEST { message } else { message.div_ceil(2) };
        Self { message, datagram }
    }

    /// Returns how many messages the kernel segments at once; 0 if a message is too long for that.
    pub(crate) fn messages_at_once(self) -> usize {
        (LONGEST / self.message).min(MOST_SEGMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_messages_go_at_once_as_the_kernel_takes() {
        let at_once = |size| Pieces::of(size).messages_at_once();
        assert_eq!([8, 1024, 8192, 65_507, 65_536].map(at_once), [64, 63, 7, 1, 0]);
    }

    #[test]
    fn a_message_that_is_too_long_goes_in_halves() {
        assert_eq!(Pieces::of(65_536).datagram, 32_768);
        assert_eq!(Pieces::of(65_507).datagram, 65_507);
    }
}
