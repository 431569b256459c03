//! Events and the buffer that a wait fills with them.

use nix::sys::epoll::EpollEvent;

use crate::Token;

/// The readiness of one source.
///
/// At least one of the flags is set, and several may be. They mirror the kernel's flags one by one. For
/// instance, an empty pipe without a writer reports `hangup` without `readable`, while a socket reports
/// both.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use knet_poller::{Events, Interest, Poller, Token};
///
/// let (near, far) = UnixStream::pair()?;
/// let poller = Poller::new()?;
/// poller.add(&near, Token(3), Interest::READ)?;
/// drop(far);
///
/// let mut events = Events::with_capacity(8);
/// poller.wait(&mut events, None)?;
/// let event = events.iter().next().ok_or("no event")?;
/// assert_eq!(event.token, Token(3));
/// assert!(event.readable && event.hangup && !event.writable && !event.error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The token of the source at the time of the report.
    pub token: Token,
    /// A read would not block (`EPOLLIN`): there is data, or the end of the file is reached. Reported
    /// only with [`Interest::READ`](crate::Interest::READ).
    pub readable: bool,
    /// A write would not block (`EPOLLOUT`). Reported only with
    /// [`Interest::WRITE`](crate::Interest::WRITE).
    pub writable: bool,
    /// The peer closed both directions (`EPOLLHUP`). Data that it sent earlier may still be unread.
    /// A peer that has only stopped sending is not a hang-up: the source is `readable`, and a read
    /// returns end of file.
    pub hangup: bool,
    /// The source has an error (`EPOLLERR`): one is pending on the socket, its error queue is not
    /// empty, or the reading end of a pipe was closed.
    pub error: bool,
}

/// A reusable buffer that [`Poller::wait`](crate::Poller::wait) fills. Each waiting thread needs its own.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use knet_poller::{Events, Interest, Poller, Token};
///
/// let (near, far) = UnixStream::pair()?;
/// let poller = Poller::new()?;
/// poller.add(&near, Token(1), Interest::WRITE)?;
/// poller.add(&far, Token(2), Interest::WRITE)?;
///
/// let mut events = Events::with_capacity(8);
/// assert!(events.is_empty());
/// poller.wait(&mut events, None)?;
/// assert_eq!(events.len(), 2);
/// for event in &events {
///     assert!(event.writable);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Events {
    /// The kernel's output: one entry more than the capacity, for the waker.
    pub(crate) raw: Vec<EpollEvent>,
    pub(crate) list: Vec<Event>,
    pub(crate) woken: bool,
}

impl Events {
    /// The largest number of events that one wait can report.
    pub const MAX_CAPACITY: usize = 65_536;

    /// Creates a buffer for up to `capacity` events, limited to 1 to
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY).
    ///
    /// If more sources are ready, the kernel reports them in turns, so that none starves.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Events {
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY);
        Events {
            raw: vec![EpollEvent::empty(); capacity + 1],
            list: Vec::with_capacity(capacity + 1),
            woken: false,
        }
    }

    /// Iterates over the events of the last wait in the kernel's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.list.iter().copied()
    }

    /// Returns the number of events of the last wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns `true` if the last wait reported no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns `true` if a [`Waker`](crate::Waker) ended the last wait. A wake-up does not count as an
    /// event.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use knet_poller::{Events, Poller};
    ///
    /// let poller = Poller::new()?;
    /// let mut events = Events::with_capacity(8);
    /// poller.waker().wake()?;
    /// assert_eq!(poller.wait(&mut events, None)?, 0);
    /// assert!(events.woken());
    /// poller.wait(&mut events, Some(Duration::ZERO))?;
    /// assert!(!events.woken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn woken(&self) -> bool {
        self.woken
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.woken = false;
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, Event>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_kept_within_bounds_with_room_for_the_waker() {
        assert_eq!(Events::with_capacity(0).raw.len(), 2);
        assert_eq!(Events::with_capacity(64).raw.len(), 65);
        assert_eq!(Events::with_capacity(usize::MAX).raw.len(), Events::MAX_CAPACITY + 1);
    }

    #[test]
    fn clear_removes_the_events_of_the_last_wait() {
        let mut events = Events::with_capacity(4);
        let event =
            Event { token: Token(3), readable: true, writable: false, hangup: false, error: false };
        events.list.push(event);
        events.woken = true;
        assert_eq!(events.iter().collect::<Vec<_>>(), [event]);
        assert_eq!((&events).into_iter().collect::<Vec<_>>(), [event]);
        assert_eq!(events.len(), 1);
        events.clear();
        assert!(events.is_empty() && !events.woken());
    }
}
