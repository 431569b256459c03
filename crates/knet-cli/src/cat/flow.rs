//! Keeps `knet cat` from sending faster than its peers take in.
//!
//! UDP holds nobody back: what a receiver's buffers do not take is lost, and knet does not repeat
//! it. So no more is sent than fits into those buffers, until the peers are known to have taken it
//! out again ([`Links::settle`](crate::cat::links::Links::settle)).

/// What was sent and may still be in a receiver's buffers: its socket's, or its datafd's.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// In bytes of the receiver's memory.
    under_way: usize,
}

impl Flow {
    /// Counts a message of `length` bytes in packets of at most `data_mtu` bytes each, before it is
    /// sent; false if the peers have to take in what is under way before.
    #[must_use]
    pub(crate) fn admit(&mut self, length: usize, data_mtu: usize) -> bool {
        let packets = length.div_ceil(data_mtu.max(1));
        let in_socket = length + packets * BOOKKEEPING;
        // There it is one piece, whose memory the kernel rounds up to a power of two.
        let in_datafd = 2 * length + BOOKKEEPING;
        let cost = in_socket.max(in_datafd);
        // Even a message that is too large has to be sent, when nothing else is under way.
        let admitted = self.under_way == 0 || self.under_way + cost <= ROOM;
        if admitted {
            self.under_way += cost;
        }
        admitted
    }

    /// The peers have taken in everything.
    pub(crate) fn settled(&mut self) {
        self.under_way = 0;
    }
}

/// What the kernel keeps of each packet or message besides its bytes.
const BOOKKEEPING: usize = 768;
/// How much may be under way. The smallest buffer that a receiver is likely to have takes three times
/// as much (208 KiB, which the kernel doubles), so that the receiver may be late.
const ROOM: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of a length are admitted at once.
    fn admitted(length: usize, data_mtu: usize) -> usize {
        let mut flow = Flow::default();
        let first = (0..).take_while(|_| flow.admit(length, data_mtu)).count();
        flow.settled();
        let second = (0..).take_while(|_| flow.admit(length, data_mtu)).count();
        assert_eq!(first, second, "everything was taken in");
        first
    }

    #[test]
    fn packets_cost_more_than_their_payload() {
        assert_eq!(admitted(8192, 512), ROOM / (8192 + 16 * BOOKKEEPING));
        assert_eq!(admitted(1, 512), ROOM / (1 + BOOKKEEPING));
    }

    #[test]
    fn a_message_in_one_packet_costs_what_it_takes_in_the_datafd() {
        assert_eq!(admitted(8192, 65_000), ROOM / (2 * 8192 + BOOKKEEPING));
    }

    #[test]
    fn the_largest_message_is_sent_whatever_it_costs() {
        assert_eq!(admitted(65536, 65_000), 1);
        assert_eq!(admitted(65536, 512), 1);
        assert_eq!(admitted(65536, 1), 1);
    }
}
