//! Tells the application: callbacks and event streams, on a thread of their own, without a lock
//! held, never on a data thread.

use std::collections::VecDeque;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use knet_engine::{HostEvent, LinkEvent, MtuEvent, Refusal};
use parking_lot::{Condvar, Mutex};

use crate::api::handle::Handle;
use crate::event::{DatafdEvent, Notification};

/// How many events a stream holds before it throws away the oldest.
pub const STREAM_CAPACITY: usize = 256;

/// An event on its way to the application.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Datafd(DatafdEvent),
    Host(HostEvent),
    Link(LinkEvent),
    Mtu(MtuEvent),
    /// For the log only.
    Refused(Refusal),
}

/// Where events wait for the notify thread, and who gets them.
#[derive(Debug)]
pub(crate) struct Notifier {
    queue: Mutex<VecDeque<Notice>>,
    wake: Sender<()>,
    woken: Receiver<()>,
    /// Whether somebody is being told just now. Locked for a look at it only.
    telling: Mutex<bool>,
    told: Condvar,
    pub(crate) datafd: Audience<DatafdEvent>,
    pub(crate) host: Audience<HostEvent>,
    pub(crate) link: Audience<LinkEvent>,
    pub(crate) mtu: Audience<MtuEvent>,
}

impl Default for Notifier {
    fn default() -> Self {
        let (wake, woken) = bounded(1);
        Self {
            queue: Mutex::default(),
            wake,
            woken,
            telling: Mutex::default(),
            told: Condvar::new(),
            datafd: Audience::default(),
            host: Audience::default(),
            link: Audience::default(),
            mtu: Audience::default(),
        }
    }
}

impl Notifier {
    /// Queues an event; [`Notifier::wake`] has to follow. Touches memory only, so it may be called
    /// with the engine locked, which keeps events in the order in which they happened.
    pub(crate) fn queue(&self, notice: Notice) {
        let mut queue = self.queue.lock();
        if queue.len() >= MAX_QUEUED {
            // The application's callback hangs. What it missed is of less use than what is new.
            match queue.pop_front() {
                Some(Notice::Datafd(_)) => self.datafd.missed(),
                Some(Notice::Host(_)) => self.host.missed(),
                Some(Notice::Link(_)) => self.link.missed(),
                Some(Notice::Mtu(_)) => self.mtu.missed(),
                Some(Notice::Refused(_)) | None => {}
            }
        }
        queue.push_back(notice);
    }

    /// Lets the notify thread look at the queue.
    pub(crate) fn wake(&self) {
        // Full means that a wake-up is pending already.
        let _ = self.wake.try_send(());
    }

    pub(crate) fn tell_datafd(&self, event: DatafdEvent) {
        self.queue(Notice::Datafd(event));
        self.wake();
    }

    /// Waits for the next wake-up.
    pub(crate) fn wait(&self) {
        // The sender lives in `self`, so this cannot be disconnected.
        let _ = self.woken.recv();
    }

    pub(crate) fn next(&self) -> Option<Notice> {
        self.queue.lock().pop_front()
    }

    /// Begins to tell somebody, with what `prepare` gives; [`Notifier::end`] has to follow.
    pub(crate) fn begin<T>(&self, prepare: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut telling = self.telling.lock();
        let prepared = prepare()?;
        *telling = true;
        Some(prepared)
    }

    pub(crate) fn end(&self) {
        *self.telling.lock() = false;
        self.told.notify_all();
    }

    /// Does something quick while nobody is being told and none begins to be, after waiting for that.
    pub(crate) fn while_silent<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut telling = self.telling.lock();
        while *telling {
            self.told.wait(&mut telling);
        }
        work()
    }

    /// Hands an event to everybody who asked for its kind.
    pub(crate) fn deliver(&self, handle: &Handle, notice: Notice) {
        match notice {
            Notice::Datafd(event) => self.datafd.deliver(handle, event),
            Notice::Host(event) => self.host.deliver(handle, event),
            Notice::Link(event) => self.link.deliver(handle, event),
            Notice::Mtu(event) => self.mtu.deliver(handle, event),
            Notice::Refused(Refusal { source, reason, more, .. }) => {
                tracing::warn!(%source, %reason, more, "packet rejected");
            }
        }
    }
}

type Callback<T> = Arc<dyn Fn(&Handle, &T) + Send + Sync>;

/// Who gets the events of one kind.
pub(crate) struct Audience<T> {
    asked: AtomicBool,
    /// Events that were thrown away before they reached the streams.
    missed: AtomicU64,
    callback: Mutex<Option<Callback<T>>>,
    streams: Mutex<Vec<Stream<T>>>,
}

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self {
            asked: AtomicBool::new(false),
            missed: AtomicU64::new(0),
            callback: Mutex::default(),
            streams: Mutex::default(),
        }
    }
}

impl<T> std::fmt::Debug for Audience<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl<T: Clone> Audience<T> {
    /// Whether anybody ever asked for these events.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(crate) fn set_callback(&self, callback: Callback<T>) {
        let old = self.callback.lock().replace(callback);
        self.asked.store(true, Ordering::Release);
        // Dropped outside the lock: it may own anything.
        drop(old);
    }

    pub(crate) fn remove_callback(&self) {
        let old = self.callback.lock().take();
        drop(old);
    }

    pub(crate) fn stream(&self) -> EventStream<T> {
        let (stream, receiver) = Stream::new();
        self.streams.lock().push(stream);
        self.asked.store(true, Ordering::Release);
        receiver
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    fn deliver(&self, handle: &Handle, event: T) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        self.streams.lock().retain_mut(|stream| {
            stream.lost += missed;
            stream.push(event.clone())
        });
        let callback = self.callback.lock().clone();
        if let Some(callback) = callback {
            if catch_unwind(AssertUnwindSafe(|| callback(handle, &event))).is_err() {
                tracing::error!("a notification callback panicked; nothing else is affected");
            }
        }
    }
}

/// A stream of events: a crossbeam [`Receiver`], which it dereferences to, for [`Receiver::recv`],
/// [`Receiver::iter`] or [`crossbeam_channel::select!`].
///
/// Each stream gets every event of its kind from the moment on at which it was made; one that was
/// on its way just then may come too. It holds
/// [`STREAM_CAPACITY`] events; a slow reader loses the oldest and is told how many.
#[derive(Debug)]
pub struct EventStream<T> {
    receiver: Receiver<Notification<T>>,
    /// Tells the writing end whether anybody still reads.
    _alive: Arc<()>,
}

impl<T> Deref for EventStream<T> {
    type Target = Receiver<Notification<T>>;

    fn deref(&self) -> &Self::Target {
        &self.receiver
    }
}

/// The writing end of a bounded stream that loses the oldest.
struct Stream<T> {
    sender: Sender<Notification<T>>,
    /// A second reader, for throwing away the oldest.
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

    /// Whether the stream still has a reader.
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

/// How many events may wait for a callback that does not return.
const MAX_QUEUED: usize = 16 * STREAM_CAPACITY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_stream_loses_the_oldest_and_says_how_many() {
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
    fn a_stream_without_a_reader_is_given_up() {
        let (mut stream, receiver) = Stream::new();
        assert!(stream.push(1));
        drop(receiver);
        assert!(!stream.push(2));
    }

    /// Removes the audience's callback when it is dropped.
    struct RemovesCallback(Arc<Audience<u32>>);

    impl Drop for RemovesCallback {
        fn drop(&mut self) {
            self.0.remove_callback();
        }
    }

    #[test]
    fn what_a_callback_owned_is_dropped_with_no_lock_held() {
        let audience = Arc::new(Audience::default());
        let owned = RemovesCallback(audience.clone());
        audience.set_callback(Arc::new(move |_: &Handle, _: &u32| {
            let _ = &owned;
        }));
        let (tell, told) = bounded(1);
        std::thread::spawn(move || {
            audience.set_callback(Arc::new(|_: &Handle, _: &u32| {}));
            tell.send(()).unwrap();
        });
        told.recv_timeout(std::time::Duration::from_secs(10)).expect("it is dropped");
    }
}
