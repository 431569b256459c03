//! From the socket pair to UDP.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use arrayvec::ArrayVec;
use knet_fd::ReceiveBatch;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, sendmsg};
use socket2::Socket;

use crate::pieces::Pieces;
use crate::readiness::wait;

/// Passes messages on until the application closes its end or something fails. The benchmark then
/// notices that no message arrives.
pub(crate) fn run(from: &OwnedFd, to: &Socket, pieces: Pieces) {
    let mut batch = ReceiveBatch::new(ReceiveBatch::MAX_MESSAGES, 0, pieces.message);
    while let Ok(outcome) = batch.receive(from) {
        if outcome.would_block() {
            wait(from.as_fd(), PollFlags::POLLIN);
        } else if outcome.end_of_file || pass_on(&batch, to, pieces).is_err() {
            return;
        }
    }
}

fn pass_on(batch: &ReceiveBatch, to: &Socket, pieces: Pieces) -> Result<(), Errno> {
    let mut parts: ArrayVec<IoSlice<'_>, { ReceiveBatch::MAX_MESSAGES }> = ArrayVec::new();
    for message in batch.iter() {
        if pieces.messages_per_call() == 0 {
            for piece in message.bytes.chunks(pieces.datagram) {
                send(to, &[IoSlice::new(piece)])?;
            }
            continue;
        }
        parts.push(IoSlice::new(message.bytes));
        if parts.len() == pieces.messages_per_call() {
            send(to, &parts)?;
            parts.clear();
        }
    }
    if parts.is_empty() { Ok(()) } else { send(to, &parts) }
}

/// Sends `parts`, which the kernel divides into datagrams.
fn send(to: &Socket, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
    loop {
        match sendmsg::<()>(to.as_raw_fd(), parts, &[], MsgFlags::MSG_DONTWAIT, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EAGAIN) => wait(to.as_fd(), PollFlags::POLLOUT),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
