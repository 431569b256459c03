//! Standard streams that were closed when the process was started.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::OsError;
use nix::errno::Errno;

/// A standard stream.
///
/// # Examples
///
/// ```
/// use knet_fd::StandardStream;
///
/// // A program that writes a result reports that it cannot. The standard library would open `/dev/null`.
/// StandardStream::Output.check()?;
/// println!("the result");
/// # Ok::<(), knet_fd::OsError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum StandardStream {
    /// Standard input, descriptor 0.
    Input,
    /// Standard output, descriptor 1.
    Output,
    /// Standard error, descriptor 2.
    Error,
}

impl StandardStream {
    /// Checks that the stream was open when the process was started, as it was not after `>&-` in a shell.
    ///
    /// Before `main`, the standard library opens `/dev/null` in place of streams that are closed, so that what is
    /// written vanishes without an error.
    ///
    /// # Errors
    ///
    /// `EBADF` if it was closed.
    pub fn check(self) -> Result<(), OsError> {
        let closed = closed_at_start() & self.bit() != 0;
        if closed { Err(OsError::new(Errno::EBADF)) } else { Ok(()) }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Returns the streams that were closed before `main`, as bits by their numbers.
#[allow(unsafe_code)]
fn closed_at_start() -> u8 {
    static CLOSED: AtomicU8 = AtomicU8::new(0);

    extern "C" fn look() {
        for fd in 0..3 {
            // SAFETY: the query has no argument, and an invalid number is an error.
            if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
                CLOSED.fetch_or(1 << fd, Relaxed);
            }
        }
    }

    // SAFETY: the C library calls the functions in this section one after the other before `main`, without
    // arguments that this one reads. It makes a system call and stores a number, for which nothing has to be set up.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static AT_START: extern "C" fn() = look;

    CLOSED.load(Relaxed)
}
