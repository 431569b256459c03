//! The error numbers that this crate's errors map to.
//!
//! Written out because the crate has no `libc`; Linux gives them the same value on every
//! architecture ([errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html)).

/// Device or resource busy.
pub(crate) const EBUSY: i32 = 16;

/// Invalid argument.
pub(crate) const EINVAL: i32 = 22;
