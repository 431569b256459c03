//! Why a measurement came to nothing.

use std::error::Error;

/// Why a measurement came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A descriptor or the call that sends failed.
    #[error("{what} failed: {source}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What the kernel or the call said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The other end's descriptor was closed.
    #[error("the datafd was closed from the other side")]
    Closed,
    /// Nothing came for too long.
    #[error("nothing came for {seconds} s: {received} of {wanted} messages had arrived")]
    Stalled {
        /// How long nothing came.
        seconds: u64,
        /// How many messages had arrived.
        received: u64,
        /// How many were expected.
        wanted: u64,
    },
    /// A message came that is none of ours.
    #[error(
        "a message of {length} bytes came where {wanted} bytes were expected: is the channel shared?"
    )]
    UnexpectedMessage {
        /// How long it is.
        length: usize,
        /// How long each should be.
        wanted: usize,
    },
    /// As many messages came as were sent, but not the same ones.
    #[error("a message came twice and another one not at all")]
    Duplicate,
    /// A thread of the measurement panicked.
    #[error("the receiving thread panicked")]
    Panicked,
}

impl BenchError {
    /// For `map_err`: says what failed.
    pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Failed { what, source: source.into() }
    }
}
