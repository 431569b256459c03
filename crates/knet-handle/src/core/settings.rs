//! What an application chooses before its handle is made.

use std::time::Duration;

/// The choices, with defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long the data threads look for more to do at most before they sleep.
    pub(crate) busy_poll: Duration,
    /// How long packets wait for room in a full link.
    pub(crate) send_timeout: Duration,
}
