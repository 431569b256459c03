//! What a wait reports, and the buffer it reports into.

use nix::sys::epoll::EpollEvent;

use crate::Token;

/// One source that is ready, and for what.
///
/// Several fields may be set at once; at least one is. They mirror the kernel's flags one by one, so
/// that a caller sees what happened: a pipe whose writer has gone reports `hangup` without `readable`
/// once it is empty, while a socket reports both.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The token the source has at the time of the report.
    pub token: Token,
    /// A read would not block (`EPOLLIN`): there is data, or the end is reached. Only with
    /// [`Interest::READ`](crate::Interest::READ).
    pub readable: bool,
    /// A write would not block (`EPOLLOUT`). Only with
    /// [`Interest::WRITE`](crate::Interest::WRITE).
    pub writable: bool,
    /// The other end is gone in both directions (`EPOLLHUP`). What it sent before may still be
    /// waiting to be read. An end that has only stopped sending is not a hang-up: it is `readable`,
    /// and the read says end of file.
    pub hangup: bool,
    /// Something is wrong with the source (`EPOLLERR`): an error is pending on the socket, its error
    /// queue holds entries, or the reading end of a pipe was closed.
    pub error: bool,
}

/// The buffer that [`Poller::wait`](crate::Poller::wait) reports into, made once and used again.
///
/// Each thread that waits has its own.
#[derive(Debug)]
pub struct Events {
    /// Where the kernel writes. One entry more than the capacity, for the waker.
    pub(crate) raw: Vec<EpollEvent>,
    pub(crate) list: Vec<Event>,
    pub(crate) woken: bool,
}

impl Events {
    /// Most events that one wait can report.
    pub const MAX_CAPACITY: usize = 65_536;

    /// Creates a buffer for up to `capacity` events, taken as 1 if it is 0 and as
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY) if it is above.
    ///
    /// If more sources than this are ready, the kernel reports them in turns: none is starved.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Events {
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY);
        Events {
            raw: vec![EpollEvent::empty(); capacity + 1],
            list: Vec::with_capacity(capacity + 1),
            woken: false,
        }
    }

    /// Iterates over the events of the last wait, in the kernel's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.list.iter().copied()
    }

    /// Returns how many events the last wait reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether the last wait reported no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns whether a [`Waker`](crate::Waker) made the last wait return. A wake-up is not counted
    /// as an event.
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
    fn clear_forgets_the_last_wait() {
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
