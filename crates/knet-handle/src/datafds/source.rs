//! Where a datafd comes from.

use std::os::fd::{BorrowedFd, RawFd};

/// Where a datafd comes from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DatafdSource<'a> {
    /// A pair of sockets made by the handle; the application gets one end.
    Create,
    /// A descriptor of the caller's. It is made non-blocking and close-on-exec; the handle works on
    /// a duplicate and never closes the caller's.
    Fd(BorrowedFd<'a>),
    /// The same as a C program says it: 0 for [`DatafdSource::Create`], a positive number for a
    /// descriptor of the caller's.
    Raw(RawFd),
}
