//! What is measured, as seen by the loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use knet_fd::{PairType, Sent, SocketPair};

/// An application's side of a host: two datafds and a call that sends.
///
/// # Example
/// An endpoint around sockets that something else moves messages between:
/// ```
/// use std::io;
/// use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
///
/// use knet_bench::{Endpoint, Lane};
///
/// struct Host {
///     data: OwnedFd,
///     credits: OwnedFd,
/// }
///
/// impl Endpoint for Host {
///     fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
///         match lane {
///             Lane::Data => self.data.as_fd(),
///             Lane::Credits => self.credits.as_fd(),
///         }
///     }
///
///     fn send(&self, _message: &[u8]) -> io::Result<()> {
///         // There is no such call: only `--via datafd` can be measured.
///         Err(io::ErrorKind::Unsupported.into())
///     }
/// }
/// ```
pub trait Endpoint: Sync {
    /// Returns the application's descriptor of a lane, a message socket.
    ///
    /// Whatever is written to it arrives at the other endpoint's descriptor of the same lane.
    fn datafd(&self, lane: Lane) -> BorrowedFd<'_>;

    /// Sends a message on [`Lane::Data`] with a call instead of a write to the descriptor.
    ///
    /// # Errors
    /// The error of the call; `Unsupported` if there is no such call.
    fn send(&self, message: &[u8]) -> io::Result<()>;

    /// Returns `true` unless the other endpoint is known to be unreachable. A run fails when it has been
    /// for two seconds.
    fn is_connected(&self) -> bool {
        true
    }
}

/// What a message is for.
///
/// # Example
/// The convention for channels:
/// ```
/// use knet_bench::Lane;
///
/// let channel = |lane| match lane {
///     Lane::Data => 0,
///     Lane::Credits => 1,
/// };
/// assert_eq!([Lane::Data, Lane::Credits].map(channel), [0, 1]);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each endpoint has to carry all of them")]
pub enum Lane {
    /// The messages that are measured: channel 0 by convention.
    Data,
    /// The number of messages received so far: channel 1 by convention. Used between processes only.
    Credits,
}

/// An endpoint that is connected to another by sockets alone, to measure the cost of the loop itself.
///
/// # Example
/// ```
/// use knet_bench::{DirectEndpoint, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// let report = knet_bench::run(&plan, "socket pair", &near, &far)?;
/// assert_eq!(report.messages, 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirectEndpoint {
    data: OwnedFd,
    credits: OwnedFd,
}

impl DirectEndpoint {
    /// Creates two connected endpoints.
    ///
    /// # Errors
    /// Those of [`SocketPair::new`].
    pub fn pair() -> io::Result<(Self, Self)> {
        let data = SocketPair::new(PairType::SeqPacket, BUFFER).map_err(io::Error::other)?;
        let credits = SocketPair::new(PairType::SeqPacket, BUFFER).map_err(io::Error::other)?;
        let near = Self { data: data.left, credits: credits.left };
        let far = Self { data: data.right, credits: credits.right };
        Ok((near, far))
    }
}

impl Endpoint for DirectEndpoint {
    fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
        match lane {
            Lane::Data => self.data.as_fd(),
            Lane::Credits => self.credits.as_fd(),
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        match knet_fd::send(&self.data, message).map_err(io::Error::other)? {
            Sent::Sent { .. } => Ok(()),
            Sent::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The size of a socket's buffer in bytes.
const BUFFER: usize = 1 << 20;
