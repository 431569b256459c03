//! Why a measurement failed.

use std::error::Error;

/// Why a measurement failed.
///
/// # Example
/// ```
/// use knet_bench::{BenchError, DirectEndpoint, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// drop(far);
/// let error = knet_bench::receive(&Plan::default(), "socket pair", &near).unwrap_err();
/// assert!(matches!(error, BenchError::Closed));
/// assert_eq!(error.to_string(), "the other endpoint closed its datafd");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A system call or the call that sends failed.
    #[error("{operation} failed")]
    Failed {
        /// What failed.
        operation: &'static str,
        /// The error of the call.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The other endpoint closed its datafd.
    #[error("the other endpoint closed its datafd")]
    Closed,
    /// No message arrived for too long.
    #[error("no message arrived for {seconds} s, after {received} of {expected} messages")]
    Stalled {
        /// How long no message arrived.
        seconds: u64,
        /// How many messages had arrived.
        received: u64,
        /// How many messages were expected.
        expected: u64,
    },
    /// A message arrived that is not part of the run.
    #[error("received {length} bytes instead of {expected}: is the channel shared?")]
    UnexpectedMessage {
        /// The size of the message in bytes.
        length: usize,
        /// The size of the messages of the run.
        expected: usize,
    },
    /// The right number of messages arrived, but not the right ones.
    #[error("a message was duplicated and another one was lost")]
    Duplicate,
    /// The other endpoint became unreachable.
    #[error("the other host was lost; {received} of {expected} messages received")]
    PeerLost {
        /// How many messages had arrived.
        received: u64,
        /// How many messages were expected.
        expected: u64,
    },
    /// The other process does not take part in a run: it did not answer for too long.
    #[error("no answer for {seconds} s: is the other host running the same measurement?")]
    NoAnswer {
        /// How long it did not answer.
        seconds: u64,
    },
    /// The other process has another plan.
    #[error("{name} is {theirs} on the other host and {ours} here: both need the same plan")]
    PlanDiffers {
        /// The option.
        name: &'static str,
        /// Its value here.
        ours: String,
        /// Its value there.
        theirs: String,
    },
    /// Both processes send, or both receive.
    #[error("both hosts have --role {role}: one has to send, the other to receive")]
    SameRole {
        /// The role of both.
        role: &'static str,
    },
    /// The other process is of another version, whose runs are different.
    #[error("the other host runs a version that does not work with this one")]
    OtherVersion,
    /// A thread of the measurement panicked.
    #[error("the receiving thread panicked")]
    Panicked,
}

impl BenchError {
    /// Returns `true` if messages were lost or duplicated on their way, as opposed to a measurement that
    /// could not be carried out.
    ///
    /// # Example
    /// ```
    /// use knet_bench::BenchError;
    ///
    /// assert!(BenchError::Duplicate.is_loss());
    /// assert!(!BenchError::Closed.is_loss());
    /// ```
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Stalled { .. } | Self::Duplicate)
    }

    /// Returns a function for `map_err` that adds what failed.
    pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Failed { operation, source: source.into() }
    }
}
