//! The statistics of a handle.

use knet_channel::Channel;
use knet_engine::{DropStats, Engine, LinkTotals};

use crate::api::handle::Handle;
use crate::core::shared::Shared;
use crate::datafds::counters::ChannelStats;
use crate::error::Error;

/// The statistics of a handle: [`Handle::stats`].
///
/// They are read without stopping the data path, so that a message may be in one counter and not yet in
/// another.
///
/// # Examples
///
/// ```
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// datafd.send(b"hello")?;
/// let stats = handle.stats();
/// assert_eq!((stats.totals.hosts, stats.totals.usable_links), (1, 1));
/// assert_eq!((stats.channels.tx_messages, stats.channels.tx_bytes), (1, 5));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HandleStats {
    /// The hosts and links, and the packets of the links.
    pub totals: LinkTotals,
    /// The messages of all channels.
    pub channels: ChannelStats,
    /// Discarded packets, by reason.
    pub drops: DropStats,
    /// The memory of incomplete messages, in bytes. Bounded.
    pub reassembly_memory: usize,
}

/// What [`Handle::clear_stats`] resets.
///
/// # Examples
///
/// ```
/// use knet_handle::ClearStats;
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// handle.clear_stats(ClearStats::HandleOnly)?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two options of knet_handle_clear_stats")]
pub enum ClearStats {
    /// The statistics of channels and of discarded packets (`KNET_CLEARSTATS_HANDLE_ONLY`).
    HandleOnly,
    /// Also those of each host and link (`KNET_CLEARSTATS_HANDLE_AND_LINK`).
    HandleAndLinks,
}

/// # Statistics
impl Handle {
    /// Returns the statistics of the handle, with those of its hosts, links and channels added up.
    #[must_use]
    pub fn stats(&self) -> HandleStats {
        read(self.shared())
    }

    /// Returns the statistics of a channel, whether it has a datafd or not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// # let events = handle.datafd_events();
    /// # handle.set_forwarding(true)?;
    /// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// handle.set_forwarding(false)?;
    /// datafd.send(b"too late").unwrap_err();
    /// assert_eq!(handle.channel_stats(datafd.channel()).tx_forwarding_off, 1);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    #[must_use]
    pub fn channel_stats(&self, channel: Channel) -> ChannelStats {
        self.shared().datafds.counters(channel).read()
    }

    /// Returns how many packets were discarded, by reason.
    #[must_use]
    pub fn drop_stats(&self) -> DropStats {
        self.shared().query(|engine, _| engine.drops())
    }

    /// Resets statistics. States and mean latencies stay; the lowest and the highest latency start with the
    /// next pong.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::ClearStats;
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// # let events = handle.datafd_events();
    /// # handle.set_forwarding(true)?;
    /// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// datafd.send(b"hello")?;
    /// handle.clear_stats(ClearStats::HandleAndLinks)?;
    /// assert_eq!(handle.stats().channels.tx_messages, 0);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
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
        // It exists: the engine is locked.
        let _ = engine.clear_host_stats(host);
    }
}
