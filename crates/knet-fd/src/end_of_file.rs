//! End of file, as opposed to empty messages.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{SocketType, retry::retry};

/// Returns `true` if the zero bytes that a socket just returned are its end of file and not an empty
/// message.
///
/// A stream has no empty messages, and a datagram socket has no end of file. On a `SOCK_SEQPACKET`, zero
/// bytes may be either. They are the end of file if the peer has hung up, after which nothing more can be
/// queued, and no byte is queued. Empty messages right before a hang-up are therefore indistinguishable
/// from it.
///
/// The queries below succeed for every socket that can be read. If one failed, the result would be
/// `false`, and the next read would return zero bytes and repeat them.
pub(crate) fn is_end_of_file(socket: BorrowedFd<'_>) -> bool {
    match SocketType::of(socket) {
        Ok(SocketType::Stream) => true,
        Ok(SocketType::SeqPacket) => has_hung_up(socket) && !has_queued_bytes(socket),
        _ => false,
    }
}

/// Returns `true` if the peer can send no more, or if this end was shut down for reading.
fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let hang_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut polled = [PollFd::new(socket, hang_up)];
    if retry(|| poll(&mut polled, PollTimeout::ZERO)).is_err() {
        return false;
    }
    // nix has no constant for POLLRDHUP, and returns `None` for flags that it does not know.
    polled[0].revents().is_none_or(|found| found.intersects(hang_up | PollFlags::POLLHUP))
}

/// Returns `true` if the queue contains a message that is not empty. Sockets without this query count as
/// empty: only those of `AF_UNIX` have empty messages, and they support it.
#[allow(unsafe_code)]
fn has_queued_bytes(socket: BorrowedFd<'_>) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the whole call, and FIONREAD writes one `int` to the
    // pointer, which is to a live local of that type.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    Errno::result(result).is_ok() && bytes > 0
}
