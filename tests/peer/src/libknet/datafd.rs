//! The application's end of a channel.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::error::CallError;
use super::shared::Shared;

/// A datafd that libknet created. It is removed, and thereby closed, when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Datafd {
    inner: Arc<Inner>,
}

impl Datafd {
    pub(super) fn new(shared: Arc<Shared>, fd: c_int, channel: i8) -> Self {
        Self { inner: Arc::new(Inner { shared, fd, channel }) }
    }

    /// Sends a message through libknet's tx thread (`knet_send`).
    ///
    /// # Errors
    /// [`CallError`], with `EAGAIN` while there is no room.
    #[allow(unsafe_code)]
    pub fn send(&self, message: &[u8]) -> Result<usize, CallError> {
        let raw = &self.inner.shared.raw;
        let bytes = message.as_ptr().cast();
        // SAFETY: the handle is valid, and the call only reads this many bytes.
        let sent = unsafe {
            (raw.symbols().knet_send)(raw.pointer(), bytes, message.len(), self.inner.channel)
        };
        usize::try_from(sent).map_err(|_| CallError::last("knet_send"))
    }

    /// Receives a message (`knet_recv`).
    ///
    /// # Errors
    /// [`CallError`], with `EAGAIN` if there is none.
    #[allow(unsafe_code)]
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, CallError> {
        let raw = &self.inner.shared.raw;
        let bytes = buffer.as_mut_ptr().cast();
        // SAFETY: the handle is valid, and the call writes at most this many bytes into our buffer.
        let received = unsafe {
            (raw.symbols().knet_recv)(raw.pointer(), bytes, buffer.len(), self.inner.channel)
        };
        usize::try_from(received).map_err(|_| CallError::last("knet_recv"))
    }
}

impl AsFd for Datafd {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: libknet keeps the descriptor open until it is removed, which happens only on drop.
        unsafe { BorrowedFd::borrow_raw(self.inner.fd) }
    }
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    fd: c_int,
    channel: i8,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Removal cannot fail, because the datafd was added.
        let _ = self.shared.raw.remove_datafd(self.fd);
    }
}
