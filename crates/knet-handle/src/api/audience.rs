//! The subscribers of a handle's events: callbacks and event streams.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent};
use parking_lot::Mutex;

use crate::api::event_log;
use crate::api::handle::Handle;
use crate::core::notices::Notice;
use crate::event::{DatafdEvent, Notification};
use crate::log::log;
use crate::panics;

/// How many events a stream holds before it drops the oldest.
pub const STREAM_CAPACITY: usize = 256;

/// The audience of each kind of event.
#[derive(Debug, Default)]
pub(crate) struct Audiences {
    pub(crate) datafd: Audience<DatafdEvent>,
    pub(crate) host: Audience<HostEvent>,
    pub(crate) link: Audience<LinkEvent>,
    pub(crate) mtu: Audience<MtuEvent>,
    pub(crate) address: Audience<AddressEvent>,
}

impl Audiences {
    /// Logs an event and reports it to the audience of its kind. Before it `dropped` others of the kind were lost.
    pub(crate) fn deliver(&self, handle: &Handle, notice: Notice, dropped: u64) {
        event_log::notice(handle.shared().log, &notice, dropped);
        match notice {
            Notice::Datafd(event) => self.datafd.deliver(handle, event, dropped),
            Notice::Host(event) => self.host.deliver(handle, event, dropped),
            Notice::Link(event) => self.link.deliver(handle, event, dropped),
            Notice::Mtu(event) => self.mtu.deliver(handle, event, dropped),
            Notice::Address(event) => self.address.deliver(handle, event, dropped),
            Notice::Rejected(_) => {}
        }
    }
}

type Callback<T> = Arc<dyn Fn(&Handle, &T) + Send + Sync>;

/// The subscribers of one kind of event.
pub(crate) struct Audience<T> {
    subscribed: AtomicBool,
    callback: Mutex<Option<Callback<T>>>,
    streams: Mutex<Vec<Stream<T>>>,
}

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self {
            subscribed: AtomicBool::new(false),
            callback: Mutex::default(),
            streams: Mutex::default(),
        }
    }
}

impl<T> std::fmt::Debug for Audience<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").field("subscribed", &self.subscribed).finish_non_exhaustive()
    }
}

impl<T: Clone> Audience<T> {
    /// Returns `true` if these events were ever subscribed to.
    pub(crate) fn was_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire)
    }

    pub(crate) fn set_callback(&self, callback: Callback<T>) {
        let old = self.callback.lock().replace(callback);
        self.subscribed.store(true, Ordering::Release);
        // Dropped outside the lock: it may own anything.
        drop(old);
    }

    pub(crate) fn clear_callback(&self) {
        let old = self.callback.lock().take();
        drop(old);
    }

    pub(crate) fn stream(&self) -> EventStream<T> {
        let (stream, receiver) = Stream::new();
        self.streams.lock().push(stream);
        self.subscribed.store(true, Ordering::Release);
        receiver
    }

    fn deliver(&self, handle: &Handle, event: T, dropped: u64) {
        self.streams.lock().retain_mut(|stream| {
            stream.lost += dropped;
            stream.push(event.clone())
        });
        let callback = self.callback.lock().clone();
        if let Some(callback) = callback {
            let called = panics::catch(|| {
                callback(handle, &event);
                // It may be the last, if another one has replaced it.
                drop(callback);
            });
            if let Err(panic) = called {
                let log = handle.shared().log;
                log!(error, log, Handle, panic, "a callback panicked; nothing else is affected");
            }
        }
    }
}

/// A stream of events. It dereferences to a crossbeam [`Receiver`], for [`Receiver::recv`],
/// [`Receiver::iter`] or [`crossbeam_channel::select!`].
///
/// Each stream gets every event of its kind from its creation on, and possibly one that was being reported
/// then. It holds [`STREAM_CAPACITY`] events. If its reader falls behind, the oldest are dropped and
/// counted ([`Notification::lost`]).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// let hosts = handle.host_events();
/// assert!(hosts.recv_timeout(Duration::from_millis(1)).is_err(), "there are no hosts");
///
/// handle.close()?;
/// assert!(hosts.recv().is_err(), "no event can come");
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Debug)]
pub struct EventStream<T> {
    receiver: Receiver<Notification<T>>,
    /// Shows the writing end whether there is a reader.
    _alive: Arc<()>,
}

impl<T> Deref for EventStream<T> {
    type Target = Receiver<Notification<T>>;

    fn deref(&self) -> &Self::Target {
        &self.receiver
    }
}

/// The writing end of a bounded stream that drops the oldest.
struct Stream<T> {
    sender: Sender<Notification<T>>,
    /// A second reader, to drop the oldest with.
    oldest: Receiver<Notification<T>>,
    reader: Weak<()>,
    lost: u64,
}

impl<T> Stream<T> {
    fn new() -> (Self, EventStream<T>) {
        let (sender, receiver) = bounded(STREAM_CAPACITY);
        let alive = Arc::new(());
        let reader = Arc::downgrade(&alive);
        let stream = Self { sender, oldest: receiver.clone(), reader, lost: 0 };
        (stream, EventStream { receiver, _alive: alive })
    }

    /// Returns `true` if the stream still has a reader.
    fn push(&mut self, event: T) -> bool {
        if self.reader.strong_count() == 0 {
            return false;
        }
        let mut next = Notification { event, lost: self.lost };
        while let Err(TrySendError::Full(back)) = self.sender.try_send(next) {
            // The reader may have been faster and emptied it meanwhile.
            if self.oldest.try_recv().is_ok() {
                self.lost += 1;
            }
            next = Notification { lost: self.lost, ..back };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_stream_drops_the_oldest_and_counts_them() {
        let (mut stream, receiver) = Stream::new();
        for n in 0..STREAM_CAPACITY + 3 {
            assert!(stream.push(n));
        }
        let all: Vec<_> = receiver.try_iter().collect();
        assert_eq!(all.len(), STREAM_CAPACITY);
        assert_eq!(all[0], Notification { event: 3, lost: 0 });
        let last = &all[STREAM_CAPACITY - 1];
        assert_eq!(*last, Notification { event: STREAM_CAPACITY + 2, lost: 3 });
    }

    #[test]
    fn a_stream_without_a_reader_is_dropped() {
        let (mut stream, receiver) = Stream::new();
        assert!(stream.push(1));
        drop(receiver);
        assert!(!stream.push(2));
    }

    /// Clears the audience's callback when it is dropped.
    struct ClearsCallback(Arc<Audience<u32>>);

    impl Drop for ClearsCallback {
        fn drop(&mut self) {
            self.0.clear_callback();
        }
    }

    #[test]
    fn what_a_callback_owned_is_dropped_with_no_lock_held() {
        let audience = Arc::new(Audience::default());
        let owned = ClearsCallback(audience.clone());
        audience.set_callback(Arc::new(move |_: &Handle, _: &u32| {
            let _ = &owned;
        }));
        let (report, reports) = bounded(1);
        std::thread::spawn(move || {
            audience.set_callback(Arc::new(|_: &Handle, _: &u32| {}));
            report.send(()).unwrap();
        });
        reports.recv_timeout(std::time::Duration::from_secs(10)).expect("it is dropped");
    }
}
