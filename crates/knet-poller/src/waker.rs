//! Wake-ups of a wait from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::PollerError;
use crate::owner::Owner;

/// Makes [`Poller::wait`](crate::Poller::wait) return, from any thread.
///
/// A wake-up is never lost: if no thread is waiting, the next wait returns immediately. All wake-ups
/// before that coalesce. If several threads wait, at least one of them returns. Memory writes before
/// [`wake`](Self::wake) are visible to the thread whose wait reports the wake-up.
///
/// In a forked process it does nothing: the poller belongs to the process that created it.
///
/// Clones are cheap and wake the same poller. A waker that outlives its poller does nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use knet_poller::{Events, Poller};
///
/// let poller = Poller::new()?;
/// let waker = poller.waker();
/// waker.wake()?;
/// waker.clone().wake()?;
///
/// let mut events = Events::with_capacity(8);
/// poller.wait(&mut events, None)?;
/// assert!(events.woken());
/// poller.wait(&mut events, Some(Duration::ZERO))?;
/// assert!(!events.woken(), "both wake-ups were one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Waker(pub(crate) Arc<WakeSignal>);

impl Waker {
    /// Wakes the poller. Costs one system call, or none if a wake-up is already pending.
    ///
    /// # Errors
    ///
    /// [`PollerError::Wake`] if the kernel refuses the write, for which no cause is known.
    ///
    /// # Examples
    ///
    /// ```
    /// # let poller = knet_poller::Poller::new()?;
    /// let waker = poller.waker();
    /// assert!(waker.wake().is_ok());
    /// drop(poller);
    /// assert!(waker.wake().is_ok(), "a waker may outlive its poller");
    /// # Ok::<(), knet_poller::PollerError>(())
    /// ```
    pub fn wake(&self) -> Result<(), PollerError> {
        self.0.raise()
    }

    /// Does the same as [`wake`](Self::wake), with a system call even if a wake-up is pending. An error
    /// shows that the poller can no longer be woken, for example because something has closed its
    /// descriptors by their numbers.
    ///
    /// # Errors
    ///
    /// [`PollerError::Wake`] if the kernel refuses the write.
    ///
    /// # Examples
    ///
    /// ```
    /// # let poller = knet_poller::Poller::new()?;
    /// let waker = poller.waker();
    /// waker.wake()?;
    /// assert!(waker.wake_again().is_ok());
    /// # Ok::<(), knet_poller::PollerError>(())
    /// ```
    pub fn wake_again(&self) -> Result<(), PollerError> {
        self.0.pending.store(true, Ordering::Release);
        self.0.write()
    }
}

/// An eventfd that is written at most once per wait, regardless of the number of wake-ups.
#[derive(Debug)]
pub(crate) struct WakeSignal {
    pub(crate) eventfd: EventFd,
    /// Set by the first wake-up and cleared by the wait that reports it. Wake-ups in between find it
    /// set and skip the write.
    pending: AtomicBool,
    owner: Owner,
}

impl WakeSignal {
    pub(crate) fn new() -> Result<WakeSignal, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = EventFd::from_flags(flags)?;
        Ok(WakeSignal { eventfd, pending: AtomicBool::new(false), owner: Owner::new() })
    }

    fn raise(&self) -> Result<(), PollerError> {
        if self.pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> Result<(), PollerError> {
        if !self.owner.is_current() {
            return Ok(());
        }
        match self.eventfd.write(1) {
            // A saturated counter is as readable as one of 1.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => {
                self.pending.store(false, Ordering::Release);
                Err(PollerError::Wake { source: errno.into() })
            }
        }
    }

    /// Takes the pending wake-up. Returns `true` if there was one: another waiting thread may have been
    /// faster.
    ///
    /// The eventfd is drained before the flag is cleared. In the opposite order, the write of a wake-up
    /// in between would be lost and its flag would stay set permanently. In this order, such a wake-up
    /// coalesces with the one being taken, which has not been reported yet. The swap makes the memory
    /// writes before it visible.
    ///
    /// If the eventfd cannot be read, because something has closed its number, the flag is cleared too: the
    /// next wake-up must not take it for one that is still coming.
    pub(crate) fn take(&self) -> bool {
        match self.eventfd.read() {
            Err(Errno::EAGAIN) => false,
            Err(_) => self.pending.swap(false, Ordering::AcqRel),
            Ok(_) => {
                self.pending.swap(false, Ordering::AcqRel);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_wake_ups_write_once() {
        let signal = Arc::new(WakeSignal::new().unwrap());
        let waker = Waker(Arc::clone(&signal));
        for _ in 0..1000 {
            waker.clone().wake().unwrap();
        }
        assert_eq!(signal.eventfd.read(), Ok(1));
    }

    #[test]
    fn each_wake_up_is_taken_once() {
        let signal = WakeSignal::new().unwrap();
        assert!(!signal.take());
        for _ in 0..3 {
            signal.raise().unwrap();
            signal.raise().unwrap();
            assert!(signal.take());
            assert_eq!(signal.eventfd.read(), Err(Errno::EAGAIN), "would end the next wait");
            assert!(!signal.take());
        }
    }
}
