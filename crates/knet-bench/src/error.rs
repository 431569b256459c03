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
    #[error("{operation} failed: {source}")]
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
    /// A thread of the measurement panicked.
    #[error("the receiving thread panicked")]
    Panicked,
}

impl BenchError {
    /// Returns a function for `map_err` that adds what failed.
    pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Failed { operation, source: source.into() }
    }
}
