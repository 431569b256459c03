//! The poller: registration of sources and waiting for their events.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use parking_lot::Mutex;

use crate::deadline::Deadline;
use crate::error::means_not_added;
use crate::owner::Owner;
use crate::registrations::{Registrations, WAKER};
use crate::waker::WakeSignal;
use crate::{AddError, Events, Interest, ModifyError, PollerError, RemoveError, Token, Waker};

/// Watches file descriptors and reports which are ready.
///
/// All methods take `&self` and may be called from any thread at any time. Dropping the poller closes
/// its own descriptors and leaves its sources open.
///
/// # Closing of sources
///
/// Remove a source before closing it. The poller does not own its sources, and the kernel keeps
/// watching a source that is closed while registered until its last duplicate is closed. It can no
/// longer be removed by then, because its descriptor number no longer exists
/// ([`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html), questions 6 and 7). If the number
/// is added again for another source, the poller drops the events of the old one. While such a source
/// stays ready, waits look for other events only every 10 ms, instead of spinning.
///
/// # Forks
///
/// A poller belongs to the process that created it. A forked process shares its kernel objects, so that
/// removing a source there would make the owner deaf to it: [`add`](Self::add), [`modify`](Self::modify)
/// and [`remove`](Self::remove) fail there, wakers do nothing, and [`wait`](Self::wait) must not be called.
/// Dropping it there does not affect the owner.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixDatagram;
/// use std::time::Duration;
///
/// use knet_poller::{Events, Interest, Poller, Token};
///
/// let (near, far) = UnixDatagram::pair()?;
/// let poller = Poller::new()?;
/// let mut events = Events::with_capacity(8);
///
/// poller.add(&far, Token(1), Interest::READ)?;
/// assert_eq!(poller.wait(&mut events, Some(Duration::ZERO))?, 0);
///
/// near.send(b"x")?;
/// assert_eq!(poller.wait(&mut events, None)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    signal: Arc<WakeSignal>,
    owner: Owner,
    /// Locked while the kernel's list changes, so that the two agree. Never locked during a wait.
    registrations: Mutex<Registrations>,
}

impl Poller {
    /// Creates a poller without sources.
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
        let (signal, owner) = (Arc::new(signal), Owner::new());
        Ok(Poller { epoll, signal, owner, registrations: Mutex::default() })
    }

    /// Starts watching `source` and reports its events under `token`.
    ///
    /// Applies to waits already under way. If a source was closed without being removed and `source`
    /// now has its number, the old registration is replaced.
    ///
    /// # Errors
    ///
    /// - [`AddError::NotPollable`] for a regular file, a directory or another kind of file that
    ///   [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html) does not support.
    /// - [`AddError::AlreadyAdded`] if the descriptor is registered. A duplicate with another number
    ///   is a source of its own.
    /// - [`AddError::Forked`] in a forked process.
    /// - [`AddError::Os`] if the kernel refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// use knet_poller::{AddError, Interest, Poller, Token};
    ///
    /// let (near, _far) = UnixStream::pair()?;
    /// let poller = Poller::new()?;
    /// poller.add(&near, Token(1), Interest::READ)?;
    /// let error = poller.add(&near, Token(2), Interest::READ).unwrap_err();
    /// assert!(matches!(error, AddError::AlreadyAdded { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), AddError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        if !self.owner.is_current() {
            return Err(AddError::Forked);
        }
        let mut registrations = self.registrations.lock();
        let id = registrations.fresh_id();
        let mut event = EpollEvent::new(interest.flags(), id);
        let added = match self.epoll.add(source, event) {
            // The kernel still has a registration that the table dropped as closed: a duplicate kept
            // the source open, and it is back under the same number. Take the registration over.
            Err(Errno::EEXIST) if registrations.id_of(fd).is_none() => {
                self.epoll.modify(source, &mut event)
            }
            other => other,
        };
        added.map_err(|errno| AddError::new(fd, errno))?;
        registrations.insert(fd, id, token, interest);
        Ok(())
    }

    /// Changes the interest in `source` and the token of its events.
    ///
    /// Applies to waits already under way: an event that one has fetched from the kernel but not yet
    /// reported is reported with the new token, or dropped if it no longer matches the interest.
    ///
    /// # Errors
    ///
    /// - [`ModifyError::NotAdded`] if the descriptor is not registered.
    /// - [`ModifyError::Forked`] in a forked process.
    /// - [`ModifyError::Os`] if the kernel refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    ///
    /// use knet_poller::{Events, Interest, Poller, Token};
    ///
    /// let (near, _far) = UnixStream::pair()?;
    /// let poller = Poller::new()?;
    /// let mut events = Events::with_capacity(8);
    /// poller.add(&near, Token(1), Interest::WRITE)?;
    /// assert_eq!(poller.wait(&mut events, None)?, 1);
    ///
    /// // Nothing to write at the moment: pause.
    /// poller.modify(&near, Token(1), Interest::NONE)?;
    /// assert_eq!(poller.wait(&mut events, Some(Duration::ZERO))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn modify(
        &self,
        source: impl AsFd,
        token: Token,
        interest: Interest,
    ) -> Result<(), ModifyError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        if !self.owner.is_current() {
            return Err(ModifyError::Forked);
        }
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

    /// Stops watching `source`.
    ///
    /// Once this has returned, no later [`wait`](Self::wait) reports the source, even if its number
    /// or its token is reused immediately, and even if a duplicate of it stays open. A wait under way
    /// in another thread drops events of the source that it has fetched but not yet reported. Events
    /// that are already in an [`Events`] stay there.
    ///
    /// # Errors
    ///
    /// - [`RemoveError::NotAdded`] if the descriptor is not registered.
    /// - [`RemoveError::Forked`] in a forked process.
    /// - [`RemoveError::Os`] if the kernel refuses for another reason. The source is no longer
    ///   reported in this case either.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    ///
    /// use knet_poller::{Events, Interest, Poller, RemoveError, Token};
    ///
    /// let (near, _far) = UnixStream::pair()?;
    /// let poller = Poller::new()?;
    /// let mut events = Events::with_capacity(8);
    /// poller.add(&near, Token(1), Interest::WRITE)?;
    /// poller.remove(&near)?;
    /// assert_eq!(poller.wait(&mut events, Some(Duration::ZERO))?, 0);
    ///
    /// let error = poller.remove(&near).unwrap_err();
    /// assert!(matches!(error, RemoveError::NotAdded { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, source: impl AsFd) -> Result<(), RemoveError> {
        let source = source.as_fd();
        let fd = source.as_raw_fd();
        if !self.owner.is_current() {
            return Err(RemoveError::Forked);
        }
        let mut registrations = self.registrations.lock();
        registrations.forget(fd);
        self.epoll.delete(source).map_err(|errno| RemoveError::new(fd, errno))
    }

    /// Waits until a source is ready, a [`Waker`] fires or `timeout` expires, and returns the number
    /// of events in `events`.
    ///
    /// `None` waits without a limit, and a timeout of zero returns immediately. Other timeouts are
    /// rounded up to whole milliseconds, so that a wait never returns early. Signals do not end a wait.
    /// Zero events mean that the timeout expired or, if [`Events::woken`] returns `true`, that a waker
    /// fired.
    ///
    /// Several threads may wait at once, each with its own `events`. Since readiness is
    /// level-triggered, the same source may be reported to more than one of them.
    ///
    /// # Errors
    ///
    /// [`PollerError::Wait`] if the kernel refuses, for which no cause is known. `events` is empty
    /// in this case.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use knet_poller::{Events, Poller};
    ///
    /// let poller = Poller::new()?;
    /// let mut events = Events::with_capacity(8);
    /// let (start, timeout) = (Instant::now(), Duration::from_micros(1500));
    /// assert_eq!(poller.wait(&mut events, Some(timeout))?, 0);
    /// assert!(start.elapsed() >= timeout);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<usize, PollerError> {
        let mut now = Instant::now();
        let deadline = Deadline::new(now, timeout);
        let mut pause = FIRST_STALE_PAUSE;
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
            if fetched > 0 {
                // PAUSE: a source that is no longer registered and cannot be removed by its number
                // would end every wait at once.
                thread::sleep(pause);
                pause = (2 * pause).min(LONGEST_STALE_PAUSE);
                now = Instant::now();
            }
        }
    }

    /// Converts the first `fetched` raw entries to events and discards stale ones.
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

    /// Returns a waker for this poller. Wake-ups of all its wakers coalesce.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use knet_poller::{Events, Poller};
    ///
    /// let poller = Poller::new()?;
    /// let waker = poller.waker();
    /// let worker = thread::spawn(move || waker.wake());
    /// let mut events = Events::with_capacity(8);
    /// poller.wait(&mut events, None)?;
    /// assert!(events.woken());
    /// # worker.join().map_err(|_| "the worker panicked")??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.signal))
    }
}

/// The descriptor of the epoll instance, which is readable while an event is pending, to wait for it in another
/// event loop. Sources are added and removed with the methods of the poller only.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixDatagram;
/// use std::time::Duration;
///
/// use knet_poller::{Events, Interest, Poller, Token};
///
/// let (near, far) = UnixDatagram::pair()?;
/// let (inner, outer) = (Poller::new()?, Poller::new()?);
/// inner.add(&far, Token(1), Interest::READ)?;
/// outer.add(&inner, Token(2), Interest::READ)?;
///
/// near.send(b"x")?;
/// let mut events = Events::with_capacity(8);
/// outer.wait(&mut events, None)?;
/// assert_eq!(events.iter().next().map(|event| event.token), Some(Token(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// The first and the longest pause of a wait that found only sources which are not registered: one that is
/// removed during a wait is found once, another one each time.
const FIRST_STALE_PAUSE: Duration = Duration::from_micros(10);
const LONGEST_STALE_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::sys::epoll::EpollTimeout;
    use nix::sys::eventfd::EventFd;
    use nix::unistd::dup2;

    use super::*;

    /// The race that a stress test hits only by luck: after a wait has fetched an event and before it
    /// reports it, the source is removed and another takes its number and its token.
    #[test]
    fn an_event_fetched_before_a_remove_is_not_reported_after_it() {
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
    fn an_event_fetched_before_a_modify_follows_the_new_registration() {
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
