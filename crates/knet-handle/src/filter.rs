//! The destination filter: who gets a message, and on which channel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use knet_wire::HostId;

use crate::event::Direction;
use crate::log::{Log, log};

/// A message that the filter decides about (`docs/porting.md`, "Filter").
#[derive(Debug)]
pub struct FilterMessage<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) direction: Direction,
    pub(crate) own: HostId,
    pub(crate) source: HostId,
    pub(crate) channel: i8,
    pub(crate) destinations: &'a mut Vec<HostId>,
}

/// What the filter decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three answers of libknet's filter")]
pub enum Verdict {
    /// Tx: to every reachable host. Rx: deliver.
    Broadcast,
    /// Tx: to the hosts named with [`FilterMessage::add_destination`]. Rx: deliver if we are among them.
    Destinations,
    /// Throw the message away.
    Reject,
}

impl FilterMessage<'_> {
    /// The message's bytes: as the application wrote them, or as it will read them.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload
    }

    /// Whether the message is being sent or was received.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Our own host id.
    #[must_use]
    pub fn own(&self) -> HostId {
        self.own
    }

    /// Who sent it: we ourselves when sending.
    #[must_use]
    pub fn source(&self) -> HostId {
        self.source
    }

    /// The channel that it came from: a local datafd's when sending, the packet's when received.
    #[must_use]
    pub fn channel(&self) -> i8 {
        self.channel
    }

    /// Moves it to another channel: the one in the packet when sending, the local datafd's when
    /// received. A [`Channel`](crate::Channel) or a raw number; a number outside 0..=31 drops the message.
    pub fn set_channel(&mut self, channel: impl Into<i8>) {
        self.channel = channel.into();
    }

    /// Names a destination for [`Verdict::Destinations`].
    pub fn add_destination(&mut self, host: HostId) {
        self.destinations.push(host);
    }
}

/// A filter as it is kept.
pub(crate) type Filter = Arc<dyn Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync>;

/// What is done with a message after the filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Filtered {
    pub(crate) verdict: Verdict,
    pub(crate) channel: i8,
}

/// Calls the filter, whose destinations are left in those of the message. Without a filter every message
/// is for everybody.
pub(crate) fn run(filter: Option<&Filter>, mut message: FilterMessage<'_>, log: Log) -> Filtered {
    message.destinations.clear();
    let FilterMessage { source, channel, direction, .. } = message;
    let Some(filter) = filter else {
        return Filtered { verdict: Verdict::Broadcast, channel };
    };
    let _inside = Inside::enter();
    let verdict = catch_unwind(AssertUnwindSafe(|| filter(&mut message))).unwrap_or_else(|_| {
        log!(error, log, Filter, %source, channel, ?direction, "the filter panicked: message dropped");
        Verdict::Reject
    });
    Filtered { verdict, channel: message.channel }
}

/// Whether this thread is running a filter.
pub(crate) fn inside() -> bool {
    INSIDE.try_with(Inside::now).unwrap_or(false)
}

/// Whether a thread is running a filter, to be asked from any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside(Arc<AtomicBool>);

thread_local! {
    static INSIDE: Inside = Inside::default();
}

impl Inside {
    /// `None` while the thread ends.
    pub(crate) fn of_this_thread() -> Option<Self> {
        INSIDE.try_with(Self::clone).ok()
    }

    /// Whether it runs one now.
    pub(crate) fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Marks the thread as running a filter until the answer is dropped.
    fn enter() -> Entered {
        let _ = INSIDE.try_with(|inside| inside.0.store(true, Ordering::Relaxed));
        Entered
    }
}

/// See [`Inside::enter`].
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.0.store(false, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(filter: Option<Filter>) -> (Filtered, Vec<HostId>) {
        let mut destinations = vec![HostId::new(9)];
        let host = HostId::new(1);
        let message = FilterMessage {
            payload: b"x",
            direction: Direction::Tx,
            own: host,
            source: host,
            channel: 3,
            destinations: &mut destinations,
        };
        (run(filter.as_ref(), message, Log::default()), destinations)
    }

    #[test]
    fn without_a_filter_everything_is_for_everybody() {
        let (result, destinations) = filtered(None);
        assert_eq!(result, Filtered { verdict: Verdict::Broadcast, channel: 3 });
        assert!(destinations.is_empty(), "nothing is left of the message before");
    }

    #[test]
    fn a_filter_names_destinations_and_moves_channels() {
        let (result, destinations) = filtered(Some(Arc::new(|message| {
            assert_eq!((message.payload(), message.channel()), (&b"x"[..], 3));
            assert_eq!((message.own(), message.source()), (HostId::new(1), HostId::new(1)));
            message.add_destination(HostId::new(2));
            message.set_channel(-4);
            Verdict::Destinations
        })));
        assert_eq!(result, Filtered { verdict: Verdict::Destinations, channel: -4 });
        assert_eq!(destinations, [HostId::new(2)]);
    }

    #[test]
    fn a_panic_rejects_the_message_and_leaves_the_filter() {
        let (result, _) = filtered(Some(Arc::new(|_| {
            assert!(inside());
            panic!("of the filter");
        })));
        assert_eq!(result.verdict, Verdict::Reject);
        assert!(!inside());
    }
}
