//! Why a link is down, as a code for scripts and a sentence for people.

use kronosnet::{DownReason, LinkState};
use serde::Serialize;

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Reason {
    /// A word for scripts.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) text: String,
}

impl Reason {
    /// Returns why a link is down, or `None` if it is up.
    pub(crate) fn of(state: LinkState) -> Option<Self> {
        match state {
            LinkState::Up => None,
            LinkState::Down(reason) => Some(reason.into()),
        }
    }
}

impl From<DownReason> for Reason {
    fn from(reason: DownReason) -> Self {
        let code = match reason {
            DownReason::Disabled => "disabled",
            DownReason::NoPeerYet => "no-peer-yet",
            DownReason::NoPongYet => "no-pong-yet",
            DownReason::PongTimeout { .. } => "pong-timeout",
            DownReason::TransportError { .. } => "transport-error",
            DownReason::WrongHost { .. } => "wrong-host",
            DownReason::WrongLink { .. } => "wrong-link",
            DownReason::ReceiveError { .. } => "receive-error",
            DownReason::ThreadEnded => "thread-ended",
            DownReason::PathTooNarrow { .. } => "path-too-narrow",
            DownReason::OwnAddressLost { .. } => "own-address-lost",
            _ => "other",
        };
        Self { code, text: reason.to_string() }
    }
}
