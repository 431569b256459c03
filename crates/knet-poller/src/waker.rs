//! Making a wait return from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::PollerError;

/// Makes [`Poller::wait`](crate::Poller::wait) return, from any thread.
///
/// A wake-up is never lost: if no thread is waiting, the next wait returns at once. Many wake-ups
/// before that fold into one. If several threads wait, at least one of them returns. Whatever the
/// caller wrote to memory before [`wake`](Self::wake) is visible to the thread whose wait reports it.
///
/// Clones are cheap and wake the same poller. A waker that outlives its poller does nothing.
#[derive(Clone, Debug)]
pub struct Waker(pub(crate) Arc<WakeSignal>);

impl Waker {
    /// Wakes the poller. Costs one system call, or none if a wake-up is pending already.
    ///
    /// # Errors
    ///
    /// [`PollerError::Wake`] if the kernel refuses the write, for which no cause is known.
    pub fn wake(&self) -> Result<(), PollerError> {
        self.0.raise()
    }
}

/// An eventfd that is written once per wait, however many wake-ups there are.
#[derive(Debug)]
pub(crate) struct WakeSignal {
    pub(crate) eventfd: EventFd,
    /// Set by the first wake-up, cleared by the wait that reports it. Others in between find it set
    /// and leave the eventfd alone.
    pending: AtomicBool,
}

impl WakeSignal {
    pub(crate) fn new() -> Result<WakeSignal, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = EventFd::from_flags(flags)?;
        Ok(WakeSignal { eventfd, pending: AtomicBool::new(false) })
    }

    fn raise(&self) -> Result<(), PollerError> {
        if self.pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        match self.eventfd.write(1) {
            // A counter that is full is as readable as one that holds 1.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => {
                self.pending.store(false, Ordering::Release);
                Err(PollerError::Wake { source: errno.into() })
            }
        }
    }

    /// Takes the wake-up, and says whether there was one: another waiting thread may have been
    /// faster.
    ///
    /// The eventfd is emptied before the flag is cleared. In the other order a wake-up in between
    /// would have its write swallowed and leave the flag set for good. In this order it folds into
    /// the one being taken, which its caller has not been told about yet; the swap makes what was
    /// written before that wake-up visible.
    pub(crate) fn take(&self) -> bool {
        self.eventfd.read().is_ok() && self.pending.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wake_ups_write_once() {
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
            assert_eq!(signal.eventfd.read(), Err(Errno::EAGAIN), "would end waits for nothing");
            assert!(!signal.take());
        }
    }
}
