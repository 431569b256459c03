//! The `errno` values that libknet returns for the errors of this crate, and those of the kernel that
//! it distinguishes.

pub(crate) const ENOENT: i32 = 2;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOSYS: i32 = 38;
/// Linux's value everywhere but on Alpha, MIPS, PA-RISC and SPARC.
pub(crate) const EMSGSIZE: i32 = 90;
/// No machine of the network is there. Linux's value everywhere but on Alpha, MIPS, PA-RISC and
/// SPARC, like those below.
pub(crate) const ENONET: i32 = 64;
pub(crate) const ECONNREFUSED: i32 = 111;
pub(crate) const EHOSTDOWN: i32 = 112;
