//! The settings of a handle that are fixed once its threads run.

use std::time::Duration;

/// The settings, with defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long the data threads busy-poll at most before they sleep.
    pub(crate) busy_poll: Duration,
    /// How long packets wait for room in a link's socket.
    pub(crate) send_timeout: Duration,
}
