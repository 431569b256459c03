//! The counters of the messages of a channel, one per outcome.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one channel, whether it has a datafd or not.
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

/// Passes the names of all counters to a macro that destructures or builds a struct of them, so that a name
/// that is missing here does not compile.
macro_rules! with_counters {
    ($apply:ident) => {
        $apply! {
            tx_messages tx_bytes tx_too_long tx_forwarding_off tx_filter_rejected tx_filter_error
            tx_no_destination tx_queue_full tx_not_sent
            rx_messages rx_bytes rx_forwarding_off rx_filter_rejected rx_filter_error rx_no_datafd
            rx_dropped_full rx_write_failed
        }
    };
}

impl Counters {
    /// Returns the current values.
    pub(crate) fn read(&self) -> ChannelStats {
        macro_rules! read {
            ($($counter:ident)*) => {
                ChannelStats { $($counter: self.$counter.load(Relaxed)),* }
            };
        }
        with_counters!(read)
    }

    /// Sets all counters to 0.
    pub(crate) fn clear(&self) {
        macro_rules! clear {
            ($($counter:ident)*) => {
                let Self { $($counter),* } = self;
                $($counter.store(0, Relaxed);)*
            };
        }
        with_counters!(clear);
    }
}

impl AddAssign<&ChannelStats> for ChannelStats {
    fn add_assign(&mut self, other: &ChannelStats) {
        macro_rules! add {
            ($($counter:ident)*) => {
                let Self { $($counter),* } = other;
                $(self.$counter += $counter;)*
            };
        }
        with_counters!(add);
    }
}

/// Adds `n` to a counter.
pub(crate) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

/// The outcomes of the messages of one channel since the handle was created or the statistics were cleared.
///
/// Each field is a number of messages, except for `tx_bytes` and `rx_bytes`. A message counts in exactly one
/// of the tx counters when it is sent, and in exactly one of the rx counters when it is received.
///
/// # Examples
///
/// ```
/// use knet_handle::{ChannelRequest, DatafdSource, Error, Handle, HostId};
///
/// # fn main() -> Result<(), Error> {
/// let handle = Handle::new(HostId::new(1))?;
/// let _events = handle.datafd_events();
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// assert!(matches!(datafd.send(b"hello"), Err(Error::ForwardingOff)));
///
/// let stats = handle.channel_stats(datafd.channel());
/// assert_eq!((stats.tx_messages, stats.tx_forwarding_off), (0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Sent in full to at least one host.
    pub tx_messages: u64,
    /// The bytes of the messages in `tx_messages`.
    pub tx_bytes: u64,
    /// Dropped because it had more than 65536 bytes, or more than fits the paths to its destinations.
    pub tx_too_long: u64,
    /// Dropped because forwarding was off.
    pub tx_forwarding_off: u64,
    /// Dropped because the filter rejected it.
    pub tx_filter_rejected: u64,
    /// Dropped because the filter specified no destination, or a channel that does not exist.
    pub tx_filter_error: u64,
    /// Dropped because no destination was reachable.
    pub tx_no_destination: u64,
    /// Dropped because the sockets of the links were full and stayed full.
    pub tx_queue_full: u64,
    /// Dropped because the kernel did not accept the whole message for any host, for another reason.
    pub tx_not_sent: u64,
    /// Written to the datafd.
    pub rx_messages: u64,
    /// The bytes of the messages in `rx_messages`.
    pub rx_bytes: u64,
    /// Dropped because forwarding was off.
    pub rx_forwarding_off: u64,
    /// Dropped because the filter rejected it, or did not name this host among the destinations.
    pub rx_filter_rejected: u64,
    /// Dropped because the filter specified a channel that does not exist.
    pub rx_filter_error: u64,
    /// Dropped because the channel has no datafd on this host.
    pub rx_no_datafd: u64,
    /// Dropped because the application did not read fast enough, or its filter is too slow.
    pub rx_dropped_full: u64,
    /// Dropped because writing to the datafd failed.
    pub rx_write_failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_added_up_and_cleared() {
        let counters = Counters::default();
        count(&counters.tx_messages, 2);
        count(&counters.rx_write_failed, 1);
        let mut sum = counters.read();
        sum += &counters.read();
        let expected = ChannelStats { tx_messages: 4, rx_write_failed: 2, ..Default::default() };
        assert_eq!(sum, expected);
        counters.clear();
        assert_eq!(counters.read(), ChannelStats::default());
    }
}
