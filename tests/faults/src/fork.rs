//! Processes that are forked and go on with the same program.

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

/// Runs `work` in a forked process, and waits for its end.
///
/// # Errors
/// If it panicked, did not return within 30 seconds, or the process was ended in another way.
///
/// # Panics
/// If the kernel refuses to fork.
#[allow(unsafe_code)]
pub fn in_fork(work: impl FnOnce()) -> Result<(), String> {
    // SAFETY: the child runs `work`, which may allocate: glibc prepares its allocator for that. It then
    // leaves without running what belongs to the parent, such as exit handlers.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            // A deadlock ends by this signal.
            alarm::set(30);
            // The output of a test is captured, and lost with the process.
            std::panic::set_hook(Box::new(|info| {
                let _ = nix::unistd::write(std::io::stderr(), format!("{info}\n").as_bytes());
            }));
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: it ends the process and has no conditions.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).expect("our child") {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(..) => Err("it panicked".to_owned()),
            WaitStatus::Signaled(_, Signal::SIGALRM, _) => Err("it hung".to_owned()),
            other => Err(format!("{other:?}")),
        },
    }
}
