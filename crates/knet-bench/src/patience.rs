//! Waits for a descriptor of an endpoint, as long as there is hope.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;

/// How long a run may make no progress before it fails. Long, because only a lost message should cause
/// this, and not a busy machine.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the other endpoint may be unreachable. On a busy machine a link may fail for a moment.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(2);
/// How often to check whether the other endpoint is reachable.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The end of a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Waited {
    /// The descriptor is ready, at its end, or has an error.
    Ready,
    /// Nothing happened in time.
    Timeout,
    /// The other endpoint is unreachable.
    PeerLost,
}

/// Waits until a lane is readable.
pub(crate) fn readable(
    endpoint: &impl Endpoint,
    lane: Lane,
    timeout: Duration,
) -> Result<Waited, BenchError> {
    wait(endpoint, endpoint.datafd(lane), PollFlags::POLLIN, timeout)
}

/// Waits until a lane is writable, for [`STALL_TIMEOUT`].
pub(crate) fn writable(endpoint: &impl Endpoint, lane: Lane) -> Result<Waited, BenchError> {
    wait(endpoint, endpoint.datafd(lane), PollFlags::POLLOUT, STALL_TIMEOUT)
}

fn wait(
    endpoint: &impl Endpoint,
    fd: BorrowedFd<'_>,
    flags: PollFlags,
    timeout: Duration,
) -> Result<Waited, BenchError> {
    let deadline = Instant::now() + timeout;
    let mut unreachable_since = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let pause = PollTimeout::try_from(left.min(CHECK_INTERVAL)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, flags)], pause) {
            Ok(1..) => return Ok(Waited::Ready),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(BenchError::failed("waiting for a datafd")(errno)),
        }
        if endpoint.is_connected() {
            unreachable_since = None;
        } else {
            let since: Instant = *unreachable_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= LOST_AFTER {
                return Ok(Waited::PeerLost);
            }
        }
        if left.is_zero() {
            return Ok(Waited::Timeout);
        }
    }
}

/// Explains why a run makes no progress.
pub(crate) fn no_progress(ended: Waited, received: u64, expected: u64) -> BenchError {
    match ended {
        Waited::PeerLost => BenchError::PeerLost { received, expected },
        Waited::Ready | Waited::Timeout => {
            BenchError::Stalled { seconds: STALL_TIMEOUT.as_secs(), received, expected }
        }
    }
}
