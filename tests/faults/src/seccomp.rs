//! The filter, and its notifications.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_long, c_uint, sock_filter, sock_fprog};
use nix::errno::Errno;
use nix::sys::prctl;

/// A system call that waits for a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intercepted {
    id: u64,
    /// The thread that makes it.
    pub(crate) thread: i32,
    pub(crate) number: c_long,
    pub(crate) arguments: [u64; 6],
}

impl Intercepted {
    /// Returns the first argument as a descriptor.
    pub(crate) fn fd(&self) -> RawFd {
        self.arguments[0] as RawFd
    }
}

/// Installs a filter for this thread, and the threads that it will start, that reports these calls to the
/// descriptor that is returned.
///
/// It cannot be removed, and once the descriptor is closed the calls fail with `ENOSYS`.
#[allow(unsafe_code)]
pub(crate) fn intercept(numbers: &[c_long]) -> io::Result<OwnedFd> {
    let statement = |code: u32, k| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let answer = |k| statement(libc::BPF_RET | libc::BPF_K, k);
    // The number of the call is the first field of `seccomp_data`.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &number in numbers {
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        program.push(sock_filter { code, jt: 0, jf: 1, k: number as u32 });
        program.push(answer(libc::SECCOMP_RET_USER_NOTIF));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    prctl::set_no_new_privs()?;
    // SAFETY: the kernel copies the program, which is alive during the call and has the length that is
    // passed with it.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as c_uint,
            &raw const program,
        )
    };
    let listener = Errno::result(listener)? as RawFd;
    // SAFETY: the kernel has just opened it for this call, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

mod ioctls {
    nix::ioctl_readwrite!(receive, b'!', 0, libc::seccomp_notif);
    nix::ioctl_readwrite!(send, b'!', 1, libc::seccomp_notif_resp);
}

/// Receives the next call that waits. Returns `None` if its thread has ended.
#[allow(unsafe_code)]
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Option<Intercepted>> {
    // SAFETY: it is a plain C struct of integers, for which zero is valid and which the kernel requires to
    // be zero.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: `call` is the struct that this request fills, and outlives the call.
    match unsafe { ioctls::receive(listener.as_raw_fd(), &raw mut call) } {
        Ok(_) => Ok(Some(Intercepted {
            id: call.id,
            thread: call.pid as i32,
            number: c_long::from(call.data.nr),
            arguments: call.data.args,
        })),
        Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Lets a call go on, or makes it fail with this number.
#[allow(unsafe_code)]
pub(crate) fn decide(
    listener: BorrowedFd<'_>,
    call: &Intercepted,
    errno: Option<Errno>,
) -> io::Result<()> {
    let mut answer = libc::seccomp_notif_resp {
        id: call.id,
        val: 0,
        error: errno.map_or(0, |errno| -(errno as i32)),
        flags: if errno.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 },
    };
    // SAFETY: `answer` is the struct that this request reads, and outlives the call.
    match unsafe { ioctls::send(listener.as_raw_fd(), &raw mut answer) } {
        // The thread has ended, or a signal interrupted its call.
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
