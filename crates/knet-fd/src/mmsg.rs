//! Many messages for one system call: `recvmmsg` and `sendmmsg`.
//!
//! The kernel wants a header and an `iovec` for each message. Both live on the stack of the call (5
//! KiB for 64 messages): they are full of pointers, which would keep a batch that holds on to them
//! from going to another thread, and are to be filled in for every call anyway.

use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use nix::errno::Errno;

/// How many messages a system call carries at most.
pub(crate) const AT_ONCE: usize = 64;

/// A message that was received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filled {
    /// Bytes of its buffer that are filled.
    pub(crate) len: usize,
    /// Whether it was longer than the buffer.
    pub(crate) truncated: bool,
}

/// Receives one message into each buffer, in their order, until nothing is there; returns how many.
///
/// Of the buffers only the first [`AT_ONCE`] are used. See
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

/// What a call of [`send`] did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Messages that were taken whole.
    pub(crate) whole: usize,
    /// How many bytes of the next were taken, if it was begun: only a stream does that.
    pub(crate) begun: Option<usize>,
}

/// Sends the messages in their order until one is not taken.
///
/// Of the messages only the first [`AT_ONCE`] are sent. See
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
    let begun = lengths().nth(whole);
    Ok(Taken { whole, begun })
}

/// The count that a system call returned, or the error that it left in `errno`.
fn count(result: libc::c_int) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}
