//! The counters of a channel's messages, one for each outcome.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted of one channel, whether it has a datafd or not.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) tx_messages: AtomicU64,
    pub(crate) tx_bytes: AtomicU64,
    pub(crate) tx_too_long: AtomicU64,
    pub(crate) tx_forwarding_off: AtomicU64,
    pub(crate) tx_filter_rejected: AtomicU64,
    pub(crate) tx_filter_error: AtomicU64,
    pub(crate) tx_no_destination: AtomicU64,
    pub(crate) tx_queue_full: AtomicU64,
    pub(crate) tx_not_sent: AtomicU64,
    pub(crate) rx_messages: AtomicU64,
    pub(crate) rx_bytes: AtomicU64,
    pub(crate) rx_forwarding_off: AtomicU64,
    pub(crate) rx_filter_rejected: AtomicU64,
    pub(crate) rx_filter_error: AtomicU64,
    pub(crate) rx_no_datafd: AtomicU64,
    pub(crate) rx_dropped_full: AtomicU64,
    pub(crate) rx_write_failed: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> ChannelStats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        ChannelStats {
            tx_messages: get(&self.tx_messages),
            tx_bytes: get(&self.tx_bytes),
            tx_too_long: get(&self.tx_too_long),
            tx_forwarding_off: get(&self.tx_forwarding_off),
            tx_filter_rejected: get(&self.tx_filter_rejected),
            tx_filter_error: get(&self.tx_filter_error),
            tx_no_destination: get(&self.tx_no_destination),
            tx_queue_full: get(&self.tx_queue_full),
            tx_not_sent: get(&self.tx_not_sent),
            rx_messages: get(&self.rx_messages),
            rx_bytes: get(&self.rx_bytes),
            rx_forwarding_off: get(&self.rx_forwarding_off),
            rx_filter_rejected: get(&self.rx_filter_rejected),
            rx_filter_error: get(&self.rx_filter_error),
            rx_no_datafd: get(&self.rx_no_datafd),
            rx_dropped_full: get(&self.rx_dropped_full),
            rx_write_failed: get(&self.rx_write_failed),
        }
    }

    pub(crate) fn clear(&self) {
        // A field that is not listed does not compile.
        macro_rules! clear {
            ($($field:ident)*) => {
                let Counters { $($field),* } = self;
                $($field.store(0, Relaxed);)*
            };
        }
        clear! {
            tx_messages tx_bytes tx_too_long tx_forwarding_off tx_filter_rejected tx_filter_error
            tx_no_destination tx_queue_full tx_not_sent
            rx_messages rx_bytes rx_forwarding_off rx_filter_rejected rx_filter_error rx_no_datafd
            rx_dropped_full rx_write_failed
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

/// What happened to the messages of one channel since the handle was made. Numbers of messages,
/// unless it says bytes. A message is in exactly one of the tx or one of the rx counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Handed to the links, as a whole for at least one host.
    pub tx_messages: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Dropped for having more than 65536 bytes, or more than the ways to its destinations take.
    pub tx_too_long: u64,
    /// Dropped because forwarding was off.
    pub tx_forwarding_off: u64,
    /// Dropped because the filter said so.
    pub tx_filter_rejected: u64,
    /// Dropped because the filter named no destination or a channel that does not exist.
    pub tx_filter_error: u64,
    /// Dropped because no destination was reachable.
    pub tx_no_destination: u64,
    /// Dropped because the links' sockets were full and stayed so.
    pub tx_queue_full: u64,
    /// Dropped because the kernel did not take the whole message for any host, for another reason.
    pub tx_not_sent: u64,
    /// Written to the datafd.
    pub rx_messages: u64,
    /// Bytes of those.
    pub rx_bytes: u64,
    /// Dropped because forwarding was off.
    pub rx_forwarding_off: u64,
    /// Dropped because the filter said so, or because it did not name us.
    pub rx_filter_rejected: u64,
    /// Dropped because the filter named a channel that does not exist.
    pub rx_filter_error: u64,
    /// Dropped because the channel has no datafd here.
    pub rx_no_datafd: u64,
    /// Dropped because the application does not read fast enough, or its filter is too slow.
    pub rx_dropped_full: u64,
    /// Dropped because writing to the datafd failed.
    pub rx_write_failed: u64,
}
