//! Making a handle.

use std::time::Duration;

use knet_engine::EngineConfig;
use knet_wire::HostId;

use crate::error::Error;
use crate::full;
use crate::handle::Handle;

/// What a handle is made from: [`Handle::builder`].
#[derive(Clone, Debug)]
pub struct HandleBuilder {
    host: HostId,
    settings: Settings,
}

/// What can be adjusted.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) busy_poll: Duration,
    pub(crate) wait_for_room: Duration,
}

impl HandleBuilder {
    pub(crate) fn new(host: HostId) -> Self {
        Self { host, settings: Settings { busy_poll: BUSY_POLL, wait_for_room: full::PATIENCE } }
    }

    /// How long the data threads go on looking for messages and packets at most before they sleep:
    /// 200 µs if nothing else is said, and never with zero.
    ///
    /// They do so only while it pays, that is while messages follow one another faster than this: then
    /// nobody has to be woken, which takes longer than all else that is done for a message. While they
    /// look they offer their processor to other threads, and they stop looking where others need it
    /// ([`BusyWait`](knet_poller::BusyWait)). A handle with nothing to do sleeps in any case.
    #[must_use]
    pub fn busy_poll(mut self, most: Duration) -> Self {
        self.settings.busy_poll = most;
        self
    }

    /// How long packets wait for room in the socket of a full link, or in the queue of its device, before
    /// they are given up: 50 ms if nothing else is said, and not at all with zero.
    ///
    /// Meanwhile messages of other datafds, links and hosts go on; what is written to the datafd whose
    /// messages wait stays there, and a [`Handle::send`] does not return. A link that took nothing in
    /// this time is not waited for any more until it takes a packet
    /// ([`ChannelStats::tx_queue_full`](crate::ChannelStats::tx_queue_full)).
    #[must_use]
    pub fn wait_for_room(mut self, most: Duration) -> Self {
        self.settings.wait_for_room = most;
        self
    }

    /// Makes the handle and starts its threads. Takes about a millisecond.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
    pub fn build(self) -> Result<Handle, Error> {
        let mut cookie_key = [0; 16];
        getrandom::fill(&mut cookie_key).map_err(|error| Error::Os {
            what: "reading random bytes",
            errno: error.raw_os_error().unwrap_or_default(),
        })?;
        let config = EngineConfig { host: self.host, cookie_key };
        Handle::start(&config, &self.settings)
    }
}

/// Longer than it takes two hosts that sleep to answer each other, so that they get out of it; and what KVM
/// looks for before it stops an idle processor.
const BUSY_POLL: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_the_threads_look_for_more_is_what_was_asked_for() {
        let host = HostId::new(1);
        assert_eq!(Handle::new(host).unwrap().busy_poll(), BUSY_POLL);
        for most in [Duration::ZERO, Duration::MAX] {
            let handle = Handle::builder(host).busy_poll(most).build().unwrap();
            assert_eq!(handle.busy_poll(), most);
            // The threads have to notice.
            handle.set_forwarding(true).unwrap();
            handle.set_forwarding(false).unwrap();
        }
    }
}
