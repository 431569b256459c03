//! Streams of events.

use std::fmt;
use std::iter::FusedIterator;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, bounded};
use knet_fd::Owner;
use parking_lot::Mutex;

use crate::core::event_queue::EventQueue;
use crate::core::subject::About;
use crate::event::Notification;

/// How many events a stream holds before it drops any.
pub const STREAM_CAPACITY: usize = 256;

/// A stream of events, which is read like a crossbeam [`Receiver`].
///
/// Each stream gets every event of its kind from its creation on, and possibly one that was being reported
/// then. If its reader falls behind by [`STREAM_CAPACITY`] events, those are dropped and counted
/// ([`Notification::lost`]) that a later one about the same link, host or datafd makes superfluous. The last
/// state of each is never dropped.
///
/// Clones share the events: each goes to one of them.
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
pub struct EventStream<T> {
    events: Arc<Mutex<Events<T>>>,
    ready: Receiver<()>,
}

struct Events<T> {
    owner: Owner,
    queue: EventQueue<T>,
    /// Rung while there are events; `None` once no more can come.
    bell: Option<Sender<()>>,
}

impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            // A thread of the parent may have locked it while it rang.
            mem::forget(self.bell.take());
        }
    }
}

impl<T> EventStream<T> {
    /// Waits for the next event.
    ///
    /// # Errors
    /// [`RecvError`] once the handle is closed and no event is left.
    pub fn recv(&self) -> Result<Notification<T>, RecvError> {
        loop {
            match self.try_recv() {
                Err(TryRecvError::Empty) => {
                    let _ = self.ready.recv();
                }
                Err(TryRecvError::Disconnected) => return Err(RecvError),
                Ok(notification) => return Ok(notification),
            }
        }
    }

    /// Waits for the next event, until `deadline` at most.
    ///
    /// # Errors
    /// - [`RecvTimeoutError::Timeout`] at the deadline.
    /// - [`RecvTimeoutError::Disconnected`] once the handle is closed and no event is left.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Notification<T>, RecvTimeoutError> {
        loop {
            match self.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Ok(notification) => return Ok(notification),
            }
            if self.ready.recv_deadline(deadline) == Err(RecvTimeoutError::Timeout) {
                return Err(RecvTimeoutError::Timeout);
            }
        }
    }

    /// Waits for the next event, for `timeout` at most.
    ///
    /// # Errors
    /// Those of [`EventStream::recv_deadline`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Notification<T>, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            None => self.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// Returns the next event if it is there already.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`] if none is.
    /// - [`TryRecvError::Disconnected`] once the handle is closed and no event is left.
    pub fn try_recv(&self) -> Result<Notification<T>, TryRecvError> {
        let mut events = self.events.lock();
        let Some(event) = events.queue.pop() else {
            return Err(match events.bell {
                Some(_) => TryRecvError::Empty,
                None => TryRecvError::Disconnected,
            });
        };
        match &events.bell {
            // A reader that takes one event at a time may have heard it already.
            Some(bell) if events.queue.len() > 0 => {
                let _ = bell.try_send(());
            }
            _ => {
                let _ = self.ready.try_recv();
            }
        }
        Ok(Notification { event, lost: events.queue.dropped() })
    }

    /// Iterates over events, and waits for each. Ends once the handle is closed.
    pub fn iter(&self) -> impl FusedIterator<Item = Notification<T>> {
        std::iter::from_fn(|| self.recv().ok()).fuse()
    }

    /// Iterates over the events that are there already.
    pub fn try_iter(&self) -> impl FusedIterator<Item = Notification<T>> {
        std::iter::from_fn(|| self.try_recv().ok()).fuse()
    }

    /// Returns the number of events that are there already.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.lock().queue.len()
    }

    /// Returns `true` if no event is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a channel that is ready when events may be there, or when the stream has ended, to wait for
    /// several streams with [`crossbeam_channel::select!`]. Take the events with [`EventStream::try_iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossbeam_channel::select;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let (hosts, links) = (handle.host_events(), handle.link_events());
    /// let itself = handle.add_host(handle.host_id())?;
    /// itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// let mut reachable = false;
    /// while !reachable {
    ///     select! {
    ///         recv(hosts.ready()) -> _ => {
    ///             reachable = hosts.try_iter().any(|notification| notification.event.reachable);
    ///         }
    ///         recv(links.ready()) -> _ => {
    ///             links.try_iter().for_each(|notification| println!("{:?}", notification.event));
    ///         }
    ///     }
    /// }
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    #[must_use]
    pub fn ready(&self) -> &Receiver<()> {
        &self.ready
    }
}

impl<T> Clone for EventStream<T> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), ready: self.ready.clone() }
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The writing end of a stream. Dropping it ends the stream.
pub(crate) struct StreamWriter<T>(Weak<Mutex<Events<T>>>);

impl<T> StreamWriter<T> {
    pub(crate) fn new() -> (Self, EventStream<T>) {
        let (bell, ready) = bounded(1);
        let (owner, queue) = (Owner::new(), EventQueue::new(STREAM_CAPACITY));
        let events = Events { owner, queue, bell: Some(bell) };
        let events = Arc::new(Mutex::new(events));
        (Self(Arc::downgrade(&events)), EventStream { events, ready })
    }
}

impl<T: About> StreamWriter<T> {
    /// Adds an event, before which `dropped` others were lost. Returns `false` if the stream has no reader.
    pub(crate) fn push(&self, event: T, dropped: u64) -> bool {
        let Some(events) = self.0.upgrade() else { return false };
        let mut events = events.lock();
        events.queue.add_dropped(dropped);
        events.queue.push(event);
        if let Some(bell) = &events.bell {
            // A full channel means that it is ringing.
            let _ = bell.try_send(());
        }
        true
    }
}

impl<T> Drop for StreamWriter<T> {
    fn drop(&mut self) {
        if let Some(events) = self.0.upgrade() {
            events.lock().bell = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use knet_engine::MtuEvent;
    use knet_wire::HostId;
    use proptest::prelude::*;

    use super::*;

    fn event(host: u16, data_mtu: usize) -> MtuEvent {
        MtuEvent::Host { host: HostId::new(host), data_mtu }
    }

    fn mtus(events: impl Iterator<Item = Notification<MtuEvent>>) -> Vec<usize> {
        events.map(|notification| notification.event.data_mtu()).collect()
    }

    #[test]
    fn a_reader_that_falls_behind_learns_the_last_state_of_each_subject_and_how_many_it_missed() {
        let (writer, stream) = StreamWriter::new();
        assert!(writer.push(event(1, 0), 0));
        for n in 0..2 * STREAM_CAPACITY {
            assert!(writer.push(event(2, n), 0));
        }
        assert!(writer.push(event(3, 7), 2));
        let all: Vec<_> = stream.try_iter().collect();
        let last = all[all.len() - 1].clone();
        assert_eq!(all[0].event, event(1, 0));
        assert_eq!(all[all.len() - 2].event, event(2, 2 * STREAM_CAPACITY - 1));
        assert_eq!(last.event, event(3, 7));
        assert_eq!(last.lost as usize + all.len(), 2 * STREAM_CAPACITY + 2 + 2);
    }

    #[test]
    fn a_stream_without_a_reader_is_not_written_to_and_a_clone_is_a_reader() {
        let (writer, stream) = StreamWriter::new();
        let clone = stream.clone();
        drop(stream);
        assert!(writer.push(event(1, 1), 0));
        assert_eq!(mtus(clone.try_iter()), [1]);
        drop(clone);
        assert!(!writer.push(event(1, 2), 0));
    }

    #[test]
    fn a_stream_ends_after_its_last_event() {
        let (writer, stream) = StreamWriter::new();
        writer.push(event(1, 1), 0);
        drop(writer);
        assert_eq!(mtus(stream.iter()), [1]);
        assert_eq!(stream.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(stream.recv(), Err(RecvError));
        let timeout = stream.recv_timeout(Duration::MAX);
        assert_eq!(timeout, Err(RecvTimeoutError::Disconnected));
        assert!(stream.ready().recv().is_err());
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let (_writer, stream) = StreamWriter::<MtuEvent>::new();
        assert_eq!(stream.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(stream.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn every_reader_that_waits_gets_an_event() {
        let (writer, stream) = StreamWriter::<MtuEvent>::new();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let stream = stream.clone();
                    scope.spawn(move || stream.recv().unwrap().event.data_mtu())
                })
                .collect();
            (0..4).for_each(|n| assert!(writer.push(event(1, n), 0)));
            let mut read: Vec<_> = readers.into_iter().map(|it| it.join().unwrap()).collect();
            read.sort_unstable();
            assert_eq!(read, [0, 1, 2, 3]);
        });
    }

    proptest! {
        /// However few events are taken at a time, the channel is ready while there are some.
        #[test]
        fn the_stream_is_ready_while_it_has_events(steps in prop::collection::vec(0..3, 0..100)) {
            let (writer, stream) = StreamWriter::new();
            for step in steps {
                match step {
                    0 => prop_assert!(writer.push(event(1, 1), 0)),
                    1 => {
                        let _ = stream.try_recv();
                    }
                    _ => {
                        let is_ready = stream.ready().try_recv().is_ok();
                        prop_assert_eq!(is_ready, !stream.is_empty());
                        let _ = stream.try_recv();
                    }
                }
            }
        }
    }
}
