//! What it means that a socket gave zero bytes.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{SocketType, retry::retry};

/// Whether a socket that just gave zero bytes has come to its end, and gave no empty message.
///
/// A stream has no empty messages and a datagram socket has no end. On a `SOCK_SEQPACKET` zero bytes
/// may be either; it is the end if the peer has hung up, after which nothing more can be queued, and
/// no byte is queued. Empty messages that are the very last before a hang-up can therefore not be
/// told from it.
///
/// The questions asked here fail for no socket that can be read; if they did, the answer would be
/// "no end", and the next read, which gives zero bytes again, would ask again.
pub(crate) fn is_end_of_file(socket: BorrowedFd<'_>) -> bool {
    match SocketType::of(socket) {
        Ok(SocketType::Stream) => true,
        Ok(SocketType::SeqPacket) => has_hung_up(socket) && !has_queued_bytes(socket),
        _ => false,
    }
}

/// Whether the peer can send no more, or this end was shut down for reading.
fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let hang_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut asked = [PollFd::new(socket, hang_up)];
    if retry(|| poll(&mut asked, PollTimeout::ZERO)).is_err() {
        return false;
    }
    // nix has no name for POLLRDHUP, and gives `None` for flags that it does not know.
    asked[0].revents().is_none_or(|found| found.intersects(hang_up | PollFlags::POLLHUP))
}

/// Whether the queue holds any message that is not empty. Sockets that do not tell hold none: only
/// those of `AF_UNIX` have empty messages at all, and they tell.
#[allow(unsafe_code)]
fn has_queued_bytes(socket: BorrowedFd<'_>) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the whole call, and FIONREAD writes one `int` to the
    // pointer, which is to a live local of that type.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    Errno::result(result).is_ok() && bytes > 0
}
