//! The application's end of a channel.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::error::CallError;
use super::handle::Handle;

/// A datafd that libknet made. It is removed, and thereby closed, when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Datafd {
    inner: Arc<Inner>,
}

impl Datafd {
    pub(super) fn new(handle: Handle, fd: c_int, channel: i8) -> Self {
        Self { inner: Arc::new(Inner { handle, fd, channel }) }
    }

    /// Passes a message to libknet's tx thread (`knet_send`).
    ///
    /// # Errors
    /// [`CallError`], with `EAGAIN` while the datafd is full.
    #[allow(unsafe_code)]
    pub fn send(&self, message: &[u8]) -> Result<usize, CallError> {
        let raw = self.inner.handle.raw();
        let bytes = message.as_ptr().cast();
        // SAFETY: the handle is valid, and the bytes are as many as it is passed and only read.
        let sent = unsafe {
            (raw.symbols().knet_send)(raw.pointer(), bytes, message.len(), self.inner.channel)
        };
        usize::try_from(sent).map_err(|_| CallError::last("knet_send"))
    }

    /// Receives the next message (`knet_recv`).
    ///
    /// # Errors
    /// [`CallError`], with `EAGAIN` if there is none.
    #[allow(unsafe_code)]
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, CallError> {
        let raw = self.inner.handle.raw();
        let bytes = buffer.as_mut_ptr().cast();
        // SAFETY: the handle is valid, and the buffer is ours and has as many bytes as it is passed.
        let received = unsafe {
            (raw.symbols().knet_recv)(raw.pointer(), bytes, buffer.len(), self.inner.channel)
        };
        usize::try_from(received).map_err(|_| CallError::last("knet_recv"))
    }
}

impl AsFd for Datafd {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: libknet keeps it open until it is removed, and nobody does that before this goes
        // away.
        unsafe { BorrowedFd::borrow_raw(self.inner.fd) }
    }
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    fd: c_int,
    channel: i8,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It was added, so it can be removed.
        let _ = self.handle.raw().remove_datafd(self.fd);
    }
}
