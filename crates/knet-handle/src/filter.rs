//! The destination filter: which hosts a message is sent to, and on which channel.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use knet_wire::HostId;

use crate::event::Direction;
use crate::log::{Log, log};
use crate::panic_gate::PanicGate;
use crate::panics;
use crate::release::{Release, wait_until_released};

/// A message that is passed to the filter: [`Handle::set_filter`](crate::Handle::set_filter).
///
/// # Examples
///
/// A filter that accepts messages of host 2 only, and delivers them on channel 5:
///
/// ```
/// use knet_handle::{Channel, Direction, Verdict};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// let channel = Channel::new(5)?;
/// handle.set_filter(move |message| {
///     if message.direction() == Direction::Rx {
///         if message.source() != HostId::new(2) {
///             return Verdict::Reject;
///         }
///         message.set_channel(channel);
///     }
///     Verdict::Broadcast
/// })?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Debug)]
pub struct FilterMessage<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) direction: Direction,
    pub(crate) own: HostId,
    pub(crate) source: HostId,
    pub(crate) channel: i8,
    pub(crate) destinations: &'a mut Vec<HostId>,
}

/// The decision of the filter.
///
/// # Examples
///
/// ```
/// use knet_handle::{FilterMessage, HostId, Verdict};
///
/// /// Sends short messages to host 2 only.
/// fn filter(message: &mut FilterMessage<'_>) -> Verdict {
///     if message.payload().len() > 100 {
///         return Verdict::Broadcast;
///     }
///     message.add_destination(HostId::new(2));
///     Verdict::Destinations
/// }
///
/// # let handle = knet_handle::Handle::new(HostId::new(1))?;
/// handle.set_filter(filter)?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three answers of libknet's filter")]
pub enum Verdict {
    /// Tx: sends the message to every reachable host. Rx: delivers it.
    Broadcast,
    /// Tx: sends the message to the hosts that were added with [`FilterMessage::add_destination`]. Rx:
    /// delivers it if the own host is among them.
    Destinations,
    /// Discards the message.
    Reject,
}

impl FilterMessage<'_> {
    /// Returns the message, as it was written by the sender.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload
    }

    /// Returns whether the message is being sent or was received.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the own host id.
    #[must_use]
    pub fn own(&self) -> HostId {
        self.own
    }

    /// Returns the sender, which is the own host for messages that are being sent.
    #[must_use]
    pub fn source(&self) -> HostId {
        self.source
    }

    /// Returns the channel that the message comes from: that of the datafd when sending, that of the packet
    /// when receiving.
    #[must_use]
    pub fn channel(&self) -> i8 {
        self.channel
    }

    /// Moves the message to another channel: that of the packet when sending, that of the datafd when
    /// receiving. Accepts a [`Channel`](crate::Channel) or a raw number; a number outside 0..=31 discards
    /// the message.
    pub fn set_channel(&mut self, channel: impl Into<i8>) {
        self.channel = channel.into();
    }

    /// Adds a destination, for [`Verdict::Destinations`].
    pub fn add_destination(&mut self, host: HostId) {
        self.destinations.push(host);
    }
}

/// A filter as the handle keeps it.
pub(crate) type Filter = Arc<InstalledFilter>;

/// The function that an application gave as the filter.
type FilterFunction = dyn Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync;

/// A function that is the filter until another one is.
pub(crate) struct InstalledFilter {
    function: Arc<FilterFunction>,
    release: Release,
}

impl InstalledFilter {
    pub(crate) fn new(
        function: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Filter {
        Arc::new(Self { function: Arc::new(function), release: Release::default() })
    }

    /// Waits until no thread is running the function, which is the filter no longer, but for a second at most.
    /// Drops it then, in this thread, because it may own anything.
    pub(crate) fn wait_until_released(self: Arc<Self>, log: Log) {
        let function = self.function.clone();
        if !wait_until_released(self, |filter| &filter.release) {
            log!(debug, log, Filter, "a thread is still running the previous filter");
        }
        drop(function);
    }
}

/// The outcome of the filter for a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Filtered {
    pub(crate) verdict: Verdict,
    pub(crate) channel: i8,
}

/// Runs the filter of a handle; without one, every message is for every host. Leaves the destinations that it
/// adds in `destinations`.
///
/// A panic of the filter, or of its destructor if it was replaced meanwhile, rejects the message.
pub(crate) fn run(
    filter: Option<Filter>,
    mut message: FilterMessage<'_>,
    panics: &PanicGate,
    scope: FilterScope,
    log: Log,
) -> Filtered {
    message.destinations.clear();
    let FilterMessage { source, channel, direction, .. } = message;
    let Some(filter) = filter else {
        return Filtered { verdict: Verdict::Broadcast, channel };
    };
    let _inside = Inside::enter(scope);
    let quiet = panics.silence(Instant::now());
    let verdict = panics::catch(|| {
        let verdict = (filter.function)(&mut message);
        drop(filter);
        verdict
    });
    drop(quiet);
    let verdict = verdict.unwrap_or_else(|panic| {
        if let Some(suppressed) = panics.record(Instant::now()) {
            log!(
                error, log, Filter, %source, channel, ?direction, panic, suppressed,
                "the filter panicked: message dropped"
            );
        }
        Verdict::Reject
    });
    Filtered { verdict, channel: message.channel }
}

/// Distinguishes the filter of a handle from those of others in the same process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FilterScope(u64);

impl FilterScope {
    /// Creates a scope that no other handle has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns `true` if this thread is running the filter of this scope. Another handle's filter may run in
    /// it: that of the handle to which a filter sends.
    pub(crate) fn is_running_here(self) -> bool {
        RUNNING.try_with(|running| running.borrow().contains(&self)).unwrap_or(false)
    }
}

/// Whether a thread is running any filter, for any thread to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside(Arc<AtomicBool>);

thread_local! {
    static INSIDE: Inside = Inside::default();
    /// The filters that this thread is running, the innermost last.
    static RUNNING: RefCell<Vec<FilterScope>> = const { RefCell::new(Vec::new()) };
}

impl Inside {
    /// Returns the flag of this thread, or `None` while the thread ends.
    pub(crate) fn of_this_thread() -> Option<Self> {
        INSIDE.try_with(Self::clone).ok()
    }

    /// Returns `true` if the thread is running a filter now.
    pub(crate) fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Marks this thread as running a filter until the return value is dropped.
    fn enter(scope: FilterScope) -> Entered {
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(scope));
        let _ = INSIDE.try_with(|inside| inside.0.store(true, Ordering::Relaxed));
        Entered
    }
}

/// See [`Inside::enter`].
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let left = RUNNING.try_with(|running| {
            let mut running = running.borrow_mut();
            running.pop();
            running.is_empty()
        });
        if left.unwrap_or(true) {
            let _ = INSIDE.try_with(|inside| inside.0.store(false, Ordering::Relaxed));
        }
    }
}

/// How long a data thread calls the filter before others have their turn: a slow filter must starve neither the
/// heartbeat nor other channels.
pub(crate) const SLICE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: FilterScope = FilterScope(u64::MAX);

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
        (run(filter, message, &PanicGate::default(), SCOPE, Log::default()), destinations)
    }

    #[test]
    fn without_a_filter_everything_is_for_everybody() {
        let (result, destinations) = filtered(None);
        assert_eq!(result, Filtered { verdict: Verdict::Broadcast, channel: 3 });
        assert!(destinations.is_empty(), "nothing is left of the message before");
    }

    #[test]
    fn a_filter_names_destinations_and_moves_channels() {
        let (result, destinations) = filtered(Some(InstalledFilter::new(|message| {
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
        let (result, _) = filtered(Some(InstalledFilter::new(|_| {
            assert!(SCOPE.is_running_here());
            panic!("of the filter");
        })));
        assert_eq!(result.verdict, Verdict::Reject);
        assert!(!SCOPE.is_running_here());
    }

    #[test]
    fn filters_that_run_within_each_other_are_distinguished() {
        let inside = Inside::of_this_thread().unwrap();
        let (one, two) = (FilterScope::new(), FilterScope::new());
        let running = || [one, two].map(FilterScope::is_running_here);
        let outer = Inside::enter(one);
        assert_eq!(running(), [true, false]);
        let inner = Inside::enter(two);
        assert_eq!(running(), [true, true]);
        drop(inner);
        assert_eq!((running(), inside.now()), ([true, false], true));
        drop(outer);
        assert_eq!((running(), inside.now()), ([false, false], false));
    }
}
