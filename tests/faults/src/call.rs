//! The system calls that may be made to fail.

use libc::c_long;

use crate::seccomp::Intercepted;

/// A system call of the data path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// `epoll_ctl`.
    EpollCtl,
    /// `epoll_wait` and its siblings.
    EpollWait,
    /// `getpid`.
    Getpid,
    /// `getsockopt`.
    Getsockopt,
    /// `preadv2`.
    Preadv2,
    /// `pwritev2`.
    Pwritev2,
    /// `read`.
    Read,
    /// `recvfrom`, which is also what `recv` is.
    Recvfrom,
    /// `recvmmsg`.
    Recvmmsg,
    /// `recvmsg` for messages.
    Recvmsg,
    /// `recvmsg` for the error queue (`MSG_ERRQUEUE`).
    RecvmsgErrorQueue,
    /// `sendmmsg`.
    Sendmmsg,
    /// `sendmsg`.
    Sendmsg,
    /// `sendto`, which is also what `send` is.
    Sendto,
    /// `socket`.
    Socket,
    /// `write`.
    Write,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 16] = [
        Self::EpollCtl,
        Self::EpollWait,
        Self::Getpid,
        Self::Getsockopt,
        Self::Preadv2,
        Self::Pwritev2,
        Self::Read,
        Self::Recvfrom,
        Self::Recvmmsg,
        Self::Recvmsg,
        Self::RecvmsgErrorQueue,
        Self::Sendmmsg,
        Self::Sendmsg,
        Self::Sendto,
        Self::Socket,
        Self::Write,
    ];

    /// Returns the numbers of the system call.
    pub(crate) fn numbers(self) -> &'static [c_long] {
        match self {
            Self::EpollCtl => &[libc::SYS_epoll_ctl],
            #[cfg(target_arch = "x86_64")]
            Self::EpollWait => {
                &[libc::SYS_epoll_wait, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2]
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::EpollWait => &[libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2],
            Self::Getpid => &[libc::SYS_getpid],
            Self::Getsockopt => &[libc::SYS_getsockopt],
            Self::Preadv2 => &[libc::SYS_preadv2],
            Self::Pwritev2 => &[libc::SYS_pwritev2],
            Self::Read => &[libc::SYS_read],
            Self::Recvfrom => &[libc::SYS_recvfrom],
            Self::Recvmmsg => &[libc::SYS_recvmmsg],
            Self::Recvmsg | Self::RecvmsgErrorQueue => &[libc::SYS_recvmsg],
            Self::Sendmmsg => &[libc::SYS_sendmmsg],
            Self::Sendmsg => &[libc::SYS_sendmsg],
            Self::Sendto => &[libc::SYS_sendto],
            Self::Socket => &[libc::SYS_socket],
            Self::Write => &[libc::SYS_write],
        }
    }

    /// Returns `true` if this is the call.
    pub(crate) fn is(self, call: &Intercepted) -> bool {
        let for_errors = call.arguments[2] & libc::MSG_ERRQUEUE as u64 != 0;
        self.numbers().contains(&call.number)
            && match self {
                Self::Recvmsg => !for_errors,
                Self::RecvmsgErrorQueue => for_errors,
                _ => true,
            }
    }
}
