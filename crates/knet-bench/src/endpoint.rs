//! What is measured, as the loop sees it.

use std::io;
use std::os::fd::BorrowedFd;

/// An application's side of a host.
pub trait Endpoint: Sync {
    /// The application's descriptor of a lane: a message socket. Whatever is written to it comes out
    /// of the other end's descriptor of the same lane.
    fn datafd(&self, lane: Lane) -> BorrowedFd<'_>;

    /// Sends a message on [`Lane::Data`] by a call in place of a write to the descriptor.
    ///
    /// # Errors
    /// What the call says; `Unsupported` if there is no such call.
    fn send(&self, message: &[u8]) -> io::Result<()>;
}

/// What a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each endpoint has to carry all of them")]
pub enum Lane {
    /// The messages that are counted: channel 0 by convention.
    Data,
    /// How many of them have been received: channel 1 by convention. Used between processes only.
    Credits,
}
