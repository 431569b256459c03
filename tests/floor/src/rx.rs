//! From UDP to the socket pair.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use knet_fd::SendBatch;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

use crate::pieces::{MAX_DATAGRAM, Pieces};
use crate::readiness::wait;

/// Passes messages on until something fails. The benchmark then notices that no message arrives.
pub(crate) fn run(from: &Socket, to: &OwnedFd, pieces: Pieces) {
    let batch = SendBatch::new(SendBatch::MAX_MESSAGES);
    let mut arena = vec![0; pieces.message + MAX_DATAGRAM];
    // Bytes at the start of the arena that have not been passed on, because half a message is missing.
    let mut pending = 0;
    loop {
        match recv(from.as_raw_fd(), &mut arena[pending..], MsgFlags::MSG_DONTWAIT) {
            // Datagrams that the kernel has joined, or a single one: always whole pieces.
            Ok(length) => pending += length,
            Err(Errno::EAGAIN) => wait(from.as_fd(), PollFlags::POLLIN),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        let whole = pending - pending % pieces.message;
        if pass_on(&arena[..whole], &batch, to, pieces).is_none() {
            return;
        }
        arena.copy_within(whole..pending, 0);
        pending -= whole;
    }
}

/// Writes all messages. Returns `None` if the application has closed its end.
fn pass_on(bytes: &[u8], batch: &SendBatch, to: &OwnedFd, pieces: Pieces) -> Option<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = batch.send(to, rest.chunks_exact(pieces.message)).ok()?;
        rest = &rest[sent * pieces.message..];
        if !rest.is_empty() {
            wait(to.as_fd(), PollFlags::POLLOUT);
        }
    }
    Some(())
}
