//! Keeps `knet cat` from sending faster than peers receive that return no credit.
//!
//! UDP has no backpressure: what does not fit into a receiver's buffers is lost, and knet does not
//! retransmit it. A `knet cat` returns credit (`destinations.rs`). To any other program at most one
//! buffer's worth is sent until it is known to have taken it out again (see
//! [`Links::settle`](crate::cat::links::Links::settle)).

/// What may still be in a receiver's buffers: those of its socket, or of its datafd.
#[derive(Debug, Default)]
pub(crate) struct FlowControl {
    /// In bytes of the receiver's memory.
    in_flight: usize,
}

impl FlowControl {
    /// Counts a message of `length` bytes before it is sent, in packets of at most `data_mtu` bytes.
    /// Returns `false` if the peers first have to receive what is in flight.
    #[must_use]
    pub(crate) fn admit(&mut self, length: usize, data_mtu: usize) -> bool {
        let cost = cost(length, data_mtu);
        // Even a message beyond the limit has to be sent once nothing else is in flight.
        let admitted = self.in_flight == 0 || self.in_flight + cost <= LIMIT;
        if admitted {
            self.in_flight += cost;
        }
        admitted
    }

    /// Records that the peers have received everything.
    pub(crate) fn settled(&mut self) {
        self.in_flight = 0;
    }
}

/// Returns how many bytes of a receiver's memory a message of `length` bytes takes, in packets of at most
/// `data_mtu` bytes: in its socket, or in its datafd.
pub(crate) fn cost(length: usize, data_mtu: usize) -> usize {
    let packets = length.div_ceil(data_mtu.max(1));
    let in_socket = length + packets * BOOKKEEPING;
    in_socket.max(datafd_cost(length))
}

/// Returns how many bytes of memory a message of `length` bytes takes in a datafd. It is in one piece
/// there, whose memory the kernel rounds up to a power of two.
pub(crate) fn datafd_cost(length: usize) -> usize {
    2 * length + BOOKKEEPING
}

/// Memory that the kernel needs per packet or message besides its bytes.
const BOOKKEEPING: usize = 768;
/// How much may be in flight. The smallest receive buffer in practice holds three times as much
/// (208 KiB, doubled by the kernel), so the receiver may be late.
const LIMIT: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many messages of a length are admitted at once.
    fn admitted(length: usize, data_mtu: usize) -> usize {
        let mut flow = FlowControl::default();
        let first = (0..).take_while(|_| flow.admit(length, data_mtu)).count();
        flow.settled();
        let second = (0..).take_while(|_| flow.admit(length, data_mtu)).count();
        assert_eq!(first, second, "everything was received");
        first
    }

    #[test]
    fn packets_cost_more_than_their_payload() {
        assert_eq!(admitted(8192, 512), LIMIT / (8192 + 16 * BOOKKEEPING));
        assert_eq!(admitted(1, 512), LIMIT / (1 + BOOKKEEPING));
    }

    #[test]
    fn a_message_in_one_packet_costs_what_it_takes_in_the_datafd() {
        assert_eq!(admitted(8192, 65_000), LIMIT / (2 * 8192 + BOOKKEEPING));
    }

    #[test]
    fn the_largest_message_is_sent_whatever_it_costs() {
        assert_eq!(admitted(65536, 65_000), 1);
        assert_eq!(admitted(65536, 512), 1);
        assert_eq!(admitted(65536, 1), 1);
    }
}
