//! Waits until file descriptors are ready.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until `fd` is readable, or `timeout` expires. Returns `true` if it is readable; the end of a
/// stream is.
///
/// # Errors
/// Those of `poll(2)`, except `EINTR`.
pub(crate) fn wait_readable(fd: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    wait(&mut fds, Some(timeout))?;
    Ok(fds[0].any().unwrap_or(true))
}

/// Waits until one of `fds` is ready, or `timeout` expires, if there is one.
///
/// # Errors
/// Those of `poll(2)`, except `EINTR`.
pub(crate) fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match poll(fds, left.map_or(PollTimeout::NONE, round_up)) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Rounds up to whole milliseconds: rounding half a millisecond down would make callers busy-poll.
fn round_up(timeout: Duration) -> PollTimeout {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn data_and_the_end_are_readable_and_silence_is_not() {
        let (near, mut far) = UnixStream::pair().unwrap();
        assert!(!wait_readable(&near, Duration::from_millis(1)).unwrap());
        far.write_all(b"x").unwrap();
        assert!(wait_readable(&near, Duration::from_secs(60)).unwrap());

        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        assert!(wait_readable(&near, Duration::from_secs(60)).unwrap());
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        assert_eq!(round_up(Duration::ZERO), PollTimeout::ZERO);
        assert_eq!(round_up(Duration::from_nanos(1)), PollTimeout::from(1u8));
        assert_eq!(round_up(Duration::from_millis(7)), PollTimeout::from(7u8));
        assert_eq!(round_up(Duration::MAX), PollTimeout::MAX);
    }
}
