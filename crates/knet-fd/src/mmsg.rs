//! Many messages per system call: `recvmmsg` and `sendmmsg`.
//!
//! The kernel needs a header and an `iovec` per message. Both are on the stack of the call (5 KiB for 64
//! messages). A batch that stored them could not be sent to another thread, because they consist of
//! pointers, and they have to be filled in for every call anyway.

use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use nix::errno::Errno;

/// The largest number of messages per system call.
pub(crate) const AT_ONCE: usize = 64;

/// The part of a buffer that a message fills.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filled {
    /// The number of bytes.
    pub(crate) len: usize,
    /// Whether the message was longer than the buffer.
    pub(crate) truncated: bool,
}

/// Receives one message per buffer, in order, until no more are available. Returns their number.
///
/// Only the first [`AT_ONCE`] buffers are used. See
/// [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html).
#[allow(unsafe_code)]
pub(crate) fn receive<'a>(
    socket: BorrowedFd<'_>,
    buffers: impl Iterator<Item = &'a mut [u8]>,
    filled: &mut [Filled; AT_ONCE],
) -> Result<usize, Errno> {
    // SAFETY: both are plain C structs of integers and pointers, for which all zeros are valid.
    let (mut parts, mut headers): ([libc::iovec; AT_ONCE], [libc::mmsghdr; AT_ONCE]) =
        unsafe { mem::zeroed() };
    let mut room = 0;
    for ((buffer, part), header) in buffers.zip(&mut parts).zip(&mut headers) {
        part.iov_base = buffer.as_mut_ptr().cast();
        part.iov_len = buffer.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        room += 1;
    }
    // SAFETY: the descriptor is borrowed for the whole call. The first `room` headers each point to
    // one live iovec and to nothing else; each iovec covers a slice that is borrowed mutably for
    // longer than this call, and no two overlap. No timeout is given.
    let received = unsafe {
        // glibc and musl differ in the type of the flags.
        let flags = libc::MSG_DONTWAIT as _;
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), room, flags, ptr::null_mut())
    };
    let received = count(received)?;
    for (filled, header) in filled.iter_mut().zip(&headers).take(received) {
        filled.len = header.msg_len as usize;
        filled.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
    }
    Ok(received)
}

/// The result of [`send`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The number of messages that were sent whole.
    pub(crate) whole: usize,
    /// The number of bytes of the next message that were sent, if any. Only a stream splits messages.
    pub(crate) partial: Option<usize>,
}

/// Sends messages in order until the kernel does not accept one.
///
/// Only the first [`AT_ONCE`] messages are sent. See
/// [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html).
#[allow(unsafe_code)]
pub(crate) fn send(socket: BorrowedFd<'_>, messages: &[&[u8]]) -> Result<Taken, Errno> {
    // SAFETY: both are plain C structs of integers and pointers, for which all zeros are valid.
    let (mut parts, mut headers): ([libc::iovec; AT_ONCE], [libc::mmsghdr; AT_ONCE]) =
        unsafe { mem::zeroed() };
    let mut offered = 0;
    for ((message, part), header) in messages.iter().zip(&mut parts).zip(&mut headers) {
        part.iov_base = message.as_ptr().cast_mut().cast();
        part.iov_len = message.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        offered += 1;
    }
    // SAFETY: the descriptor is borrowed for the whole call. The first `offered` headers each
    // point to one live iovec and to nothing else; each iovec covers a slice that outlives the call,
    // and sendmmsg only reads through it.
    let taken = unsafe {
        // glibc and musl differ in the type of the flags.
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), offered, flags)
    };
    let taken = count(taken)?;
    let lengths = || headers.iter().map(|header| header.msg_len as usize).take(taken);
    let whole = lengths().zip(messages).take_while(|(len, message)| *len == message.len()).count();
    let partial = lengths().nth(whole);
    Ok(Taken { whole, partial })
}

/// Returns the result of a system call, or the error that it left in `errno`.
fn count(result: libc::c_int) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}
