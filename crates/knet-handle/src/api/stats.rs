//! The statistics of a whole handle.

use knet_channel::Channel;
use knet_engine::{DropStats, Engine, LinkTotals};

use crate::api::handle::Handle;
use crate::core::shared::Shared;
use crate::datafds::counters::ChannelStats;
use crate::error::Error;

/// What is counted of a handle: [`Handle::stats`](crate::Handle::stats).
///
/// Reading it stops nobody, so that of two counters one may know of a message already and the other
/// not yet. What encryption and compression cost is counted when they come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HandleStats {
    /// Its hosts and links, and what these have carried.
    pub totals: LinkTotals,
    /// What became of the messages of all channels.
    pub channels: ChannelStats,
    /// Packets that were thrown away, by reason.
    pub drops: DropStats,
    /// Bytes held for messages that are not complete; bounded.
    pub reassembly_memory: usize,
}

/// What [`Handle::clear_stats`](crate::Handle::clear_stats) clears.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two options of knet_handle_clear_stats")]
pub enum ClearStats {
    /// What is counted of channels and of packets thrown away (`KNET_CLEARSTATS_HANDLE_ONLY`).
    HandleOnly,
    /// That, and what is counted of each host and link (`KNET_CLEARSTATS_HANDLE_AND_LINK`).
    HandleAndLinks,
}

impl Handle {
    /// What is counted of the handle, its hosts, links and channels added up.
    #[must_use]
    pub fn stats(&self) -> HandleStats {
        read(self.shared())
    }

    /// What happened to the messages of a channel, whether it has a datafd or not.
    #[must_use]
    pub fn channel_stats(&self, channel: Channel) -> ChannelStats {
        self.shared().datafds.counters(channel).read()
    }

    /// How many packets were thrown away, by reason.
    #[must_use]
    pub fn drop_stats(&self) -> DropStats {
        self.shared().query(|engine, _| engine.drops())
    }

    /// Starts counting anew. What hosts and links are and have measured stays; the least and the most
    /// latency begin with the next pong.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn clear_stats(&self, what: ClearStats) -> Result<(), Error> {
        clear(self.shared(), what)
    }
}

fn read(shared: &Shared) -> HandleStats {
    let mut channels = ChannelStats::default();
    for channel in Channel::ALL {
        channels += &shared.datafds.counters(channel).read();
    }
    shared.query(|engine, _| HandleStats {
        totals: engine.totals(),
        channels,
        drops: engine.drops(),
        reassembly_memory: engine.reassembly_memory(),
    })
}

fn clear(shared: &Shared, what: ClearStats) -> Result<(), Error> {
    shared.configure(|engine, _| {
        engine.clear_drops();
        if what == ClearStats::HandleAndLinks {
            clear_hosts(engine);
        }
    })?;
    for channel in Channel::ALL {
        shared.datafds.counters(channel).clear();
    }
    Ok(())
}

fn clear_hosts(engine: &mut Engine) {
    for host in engine.hosts().collect::<Vec<_>>() {
        // It was there a line above, and the engine is locked.
        let _ = engine.clear_host_stats(host);
    }
}
