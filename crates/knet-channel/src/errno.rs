//! The error numbers of this crate's errors.
//!
//! They are literals because the crate does not depend on `libc`. On Linux they have the same value on
//! every architecture ([errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html)).

/// Device or resource busy.
pub(crate) const EBUSY: i32 = 16;

/// Invalid argument.
pub(crate) const EINVAL: i32 = 22;
