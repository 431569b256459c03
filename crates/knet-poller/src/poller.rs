//! The poller itself: registering sources with the kernel, and waiting.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use parking_lot::Mutex;

use crate::deadline::Deadline;
use crate::error::means_not_added;
use crate::registrations::{Registrations, WAKER};
use crate::waker::WakeSignal;
use crate::{AddError, Events, Interest, ModifyError, PollerError, RemoveError, Token, Waker};

/// Watches file descriptors and tells which are ready.
///
/// All methods take `&self` and may be called from any thread at any time. Dropping the poller closes
/// what it opened, and nothing else.
///
/// # Sources must be removed before they are closed
///
/// The poller does not own its sources. One that is closed while registered drops out by itself when
/// the last duplicate of it is closed. Until then the kernel goes on watching it, and a descriptor
/// number that no longer exists cannot be removed
/// ([`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html), questions 6 and 7). If the
/// number is added again for another source, the poller drops the events of the old one; but each
/// wait the old one would have ended costs a look.
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    signal: Arc<WakeSignal>,
    /// Held while the kernel's list is changed, so that the two agree; never while waiting.
    registrations: Mutex<Registrations>,
}

impl Poller {
    /// Creates a poller that watches nothing.
    ///
    /// # Errors
    ///
    /// [`PollerError::Create`] if the process or the system has no file descriptor or memory left.
    pub fn new() -> Result<Poller, PollerError> {
        Self::create().map_err(|errno| PollerError::Create { source: errno.into() })
    }

    fn create() -> Result<Poller, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let signal = WakeSignal::new()?;
        epoll.add(&signal.eventfd, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        Ok(Poller { epoll, signal: Arc::new(signal), registrations: Mutex::default() })
    }

    /// Starts to watch `source`, whose events are reported as `token`.
    ///
    /// A thread that is waiting already reports the source too. A registration left behind by a
    /// source that was closed without being removed, and whose number `source` now has, is replaced.
    ///
    /// # Errors
    ///
    /// - [`AddError::NotPollable`] for a regular file, a directory or another thing that
    ///   [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html) does not support.
    /// - [`AddError::AlreadyAdded`] if the descriptor is registered. A duplicate of it under another
    ///   number is a source of its own.
    /// - [`AddError::Os`] if the kernel refuses for another reason.
    pub fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), AddError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        let mut registrations = self.registrations.lock();
        let id = registrations.fresh_id();
        let mut event = EpollEvent::new(interest.flags(), id);
        let added = match self.epoll.add(source, event) {
            // The kernel remembers a source that this table has given up as closed. It is back under
            // the same number, by way of a duplicate: take it over.
            Err(Errno::EEXIST) if registrations.id_of(fd).is_none() => {
                self.epoll.modify(source, &mut event)
            }
            other => other,
        };
        added.map_err(|errno| AddError::new(fd, errno))?;
        registrations.insert(fd, id, token, interest);
        Ok(())
    }

    /// Changes what `source` is watched for, and the token it is reported as.
    ///
    /// Applies to waits that are under way: what they fetched from the kernel but have not reported
    /// yet is reported with the new token, and left out if it is no longer wanted.
    ///
    /// # Errors
    ///
    /// - [`ModifyError::NotAdded`] if the descriptor is not registered.
    /// - [`ModifyError::Os`] if the kernel refuses for another reason.
    pub fn modify(
        &self,
        source: impl AsFd,
        token: Token,
        interest: Interest,
    ) -> Result<(), ModifyError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        let mut registrations = self.registrations.lock();
        let Some(id) = registrations.id_of(fd) else {
            return Err(ModifyError::NotAdded { fd });
        };
        if let Err(errno) = self.epoll.modify(source, &mut EpollEvent::new(interest.flags(), id)) {
            if means_not_added(errno) {
                registrations.forget(fd);
            }
            return Err(ModifyError::new(fd, errno));
        }
        registrations.insert(fd, id, token, interest);
        Ok(())
    }

    /// Stops to watch `source`.
    ///
    /// Once this has returned, no later [`wait`](Self::wait) reports the source, even if its number
    /// or its token are used again at once, and even if a duplicate of it stays open. A wait under
    /// way in another thread drops what it has fetched of the source but not yet reported; an event
    /// that has already been written into an [`Events`] cannot be taken back.
    ///
    /// # Errors
    ///
    /// - [`RemoveError::NotAdded`] if the descriptor is not registered.
    /// - [`RemoveError::Os`] if the kernel refuses for another reason. The source is not reported any
    ///   more all the same.
    pub fn remove(&self, source: impl AsFd) -> Result<(), RemoveError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        let mut registrations = self.registrations.lock();
        registrations.forget(fd);
        self.epoll.delete(source).map_err(|errno| RemoveError::new(fd, errno))
    }

    /// Waits until a source is ready, a [`Waker`] fires or `timeout` is over, and returns the number
    /// of events now in `events`.
    ///
    /// `None` waits for ever and zero only looks. A timeout is rounded up to whole milliseconds, so
    /// that the time is over when the wait says so. Signals do not end a wait. Zero events mean that
    /// the time is over or that a waker fired, see [`Events::woken`].
    ///
    /// Several threads may wait at once, each with its own `events`. Since readiness is
    /// level-triggered, more than one of them may be told about the same source.
    ///
    /// # Errors
    ///
    /// [`PollerError::Wait`] if the kernel refuses, for which no cause is known. `events` is empty
    /// then.
    pub fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<usize, PollerError> {
        let mut now = Instant::now();
        let deadline = Deadline::new(now, timeout);
        loop {
            let fetched = match self.epoll.wait(&mut events.raw, deadline.remaining(now)) {
                Ok(fetched) => fetched,
                Err(Errno::EINTR) => 0,
                Err(errno) => {
                    events.clear();
                    return Err(PollerError::Wait { source: errno.into() });
                }
            };
            self.report(events, fetched);
            now = Instant::now();
            if !events.is_empty() || events.woken() || deadline.is_over(now) {
                return Ok(events.len());
            }
        }
    }

    /// Turns the first `fetched` raw entries into events, leaving out the stale ones.
    fn report(&self, events: &mut Events, fetched: usize) {
        events.clear();
        let registrations = self.registrations.lock();
        for raw in &events.raw[..fetched] {
            if raw.data() == WAKER {
                events.woken = self.signal.take();
            } else if let Some(event) = registrations.report(raw) {
                events.list.push(event);
            }
        }
    }

    /// Returns a waker for this poller; all of them fold into one.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.signal))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::sys::epoll::EpollTimeout;
    use nix::sys::eventfd::EventFd;
    use nix::unistd::dup2;

    use super::*;

    /// The moment the threads of a stress test can only hit by luck: a wait has fetched an event, and
    /// before it reports, the source is removed and another takes its number and its token.
    #[test]
    fn what_was_fetched_before_a_remove_is_not_reported_after_it() {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut ready = OwnedFd::from(EventFd::from_value(1).unwrap());
        poller.add(&ready, Token(9), Interest::READ).unwrap();
        let fetched = poller.epoll.wait(&mut events.raw, EpollTimeout::ZERO).unwrap();
        assert_eq!(fetched, 1);

        poller.remove(&ready).unwrap();
        poller.report(&mut events, fetched);
        assert_eq!(events.iter().collect::<Vec<_>>(), []);

        dup2(EventFd::new().unwrap(), &mut ready).unwrap();
        poller.add(&ready, Token(9), Interest::READ).unwrap();

        poller.report(&mut events, fetched);
        assert_eq!(events.iter().collect::<Vec<_>>(), []);
    }

    #[test]
    fn what_was_fetched_before_a_modify_is_reported_as_it_says() {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        let source = EventFd::from_value(1).unwrap();
        poller.add(&source, Token(1), Interest::READ | Interest::WRITE).unwrap();
        let fetched = poller.epoll.wait(&mut events.raw, EpollTimeout::ZERO).unwrap();

        poller.modify(&source, Token(2), Interest::WRITE).unwrap();
        poller.report(&mut events, fetched);
        let event = events.iter().next().unwrap();
        assert_eq!(event.token, Token(2));
        assert!(event.writable && !event.readable);

        poller.modify(&source, Token(2), Interest::NONE).unwrap();
        poller.report(&mut events, fetched);
        assert!(events.is_empty());
    }
}
