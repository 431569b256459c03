//! What knet-tx does about datafds that are reported as readable and cannot be read.
//!
//! One that fails is disabled, with an event (`docs/datafd.md`, "Rules"). What is left is one that is
//! reported again and again and has nothing.

use std::thread;
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_poller::{PollerError, Token};

use crate::core::shared::Shared;
use crate::datafds::table::Entry;
use crate::io::unserved::{LONGEST_POLLER_PAUSE, Step, Unserved};
use crate::log::{Causes, log};

/// The datafds that are not polled for a while.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    datafds: Unserved<Token>,
    poller: Unserved<()>,
}

impl Pauses {
    /// Records that messages were read from a datafd.
    pub(crate) fn record_message(&mut self, entry: &Entry) {
        self.datafds.record_success(entry.token);
    }

    /// Records that a datafd was reported as readable and had nothing.
    pub(crate) fn record_empty(&mut self, shared: &Shared, entry: &Entry) {
        let step = self.datafds.record_empty(entry.token, Instant::now(), !entry.discards);
        let Step::Pause { is_new } = step else { return };
        if is_new && entry.discards {
            log!(
                warn, shared.log, Datafd, channel = %entry.channel,
                "a datafd is reported as readable and has nothing, which datagrams with a wrong checksum cause"
            );
        } else if is_new {
            log!(
                warn, shared.log, Datafd, channel = %entry.channel,
                "a datafd is reported as readable and has nothing, trying again less and less often"
            );
        }
        entry.pause(&shared.tx.poller);
    }

    /// Has the datafds read again whose pause has ended. Returns the channels of those that the poller does
    /// not accept, with the errno.
    pub(crate) fn unpause(
        &mut self,
        shared: &Shared,
    ) -> ArrayVec<(Channel, i32), { Channel::COUNT }> {
        let mut failed = ArrayVec::new();
        let now = Instant::now();
        while let Some(token) = self.datafds.take_due(now) {
            let Some(entry) = shared.datafds.by_token(token) else { continue };
            if let Err(errno) = entry.unpause(&shared.tx.poller) {
                let _ = failed.try_push((entry.channel, errno));
            }
        }
        failed
    }

    /// Returns when [`Pauses::unpause`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.datafds.next_timeout()
    }

    /// Records that waiting for datafds failed, and waits a moment.
    pub(crate) fn record_unusable_poller(&mut self, shared: &Shared, error: &PollerError) {
        let now = Instant::now();
        let step = self.poller.record_failure((), now, LONGEST_POLLER_PAUSE);
        if step == (Step::Pause { is_new: true }) {
            log!(
                error, shared.log, Tx, error = %Causes(&error),
                "waiting for datafds fails, none is read: create the handle again"
            );
        }
        let pause = self.poller.next_timeout().map(|at| at.saturating_duration_since(now));
        // PAUSE: there is nothing that could be waited for.
        thread::sleep(pause.unwrap_or_default());
    }

    /// Records that waiting for datafds worked.
    pub(crate) fn record_usable_poller(&mut self, shared: &Shared) {
        if self.poller.record_success(()) {
            log!(info, shared.log, Tx, "waiting for datafds works again");
        }
    }
}
