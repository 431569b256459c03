//! The `errno` values of the errors of this crate, as Linux numbers them (`errno(3)`).

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EBADF: i32 = 9;
pub(crate) const EAGAIN: i32 = 11;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const EFAULT: i32 = 14;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const EPIPE: i32 = 32;
pub(crate) const EDEADLK: i32 = 35;
pub(crate) const E2BIG: i32 = 7;
pub(crate) const ENOTSOCK: i32 = 88;
pub(crate) const EMSGSIZE: i32 = 90;
pub(crate) const EPROTONOSUPPORT: i32 = 93;
pub(crate) const EADDRNOTAVAIL: i32 = 99;
pub(crate) const ENETDOWN: i32 = 100;
pub(crate) const ENETUNREACH: i32 = 101;
pub(crate) const ENOBUFS: i32 = 105;
pub(crate) const ENOTCONN: i32 = 107;
pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const EHOSTDOWN: i32 = 112;
pub(crate) const ECANCELED: i32 = 125;
