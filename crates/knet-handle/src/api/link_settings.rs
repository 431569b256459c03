//! The settings of a link that can be changed while it is in use.

use knet_engine::PingTimers;
use knet_transport::QosMarking;

use crate::api::link::Link;
use crate::error::Error;
use crate::io::{kernel_limits, packet_tag};
use crate::log::log;

/// # Settings
///
/// They take effect at once. [`LinkConfig`](crate::LinkConfig) sets them when a link is added, and
/// describes what each costs.
impl Link {
    /// Sets the timers of the heartbeat. Takes effect at once.
    ///
    /// # Errors
    /// - [`Error::Link`] with `PingTimers`, `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use knet_handle::PingTimers;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// let quick = PingTimers { interval: Duration::from_millis(100), ..PingTimers::default() };
    /// link.set_ping_timers(quick)?;
    /// link.set_pong_count(2)?;
    /// link.set_priority(10)?;
    /// assert_eq!(link.ping_timers()?, quick);
    /// assert_eq!((link.pong_count()?, link.priority()?), (2, 10));
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_ping_timers(&self, timers: PingTimers) -> Result<(), Error> {
        let (host, id) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, now| engine.set_ping_timers(now, host, id, timers))??;
        let (host, link) = (host.get(), id.get());
        log!(debug, shared.log, Link, host, link, ?timers, "ping timers set");
        Ok(())
    }

    /// Returns the timers of the heartbeat.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn ping_timers(&self) -> Result<PingTimers, Error> {
        Ok(self.status()?.ping_timers)
    }

    /// Sets how many pongs must arrive in time before the link comes up, 1 to 255. The default is 5.
    ///
    /// # Errors
    /// - [`Error::Link`] with `NoPongs`, `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    pub fn set_pong_count(&self, count: u8) -> Result<(), Error> {
        let (host, id) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, _| engine.set_pong_count(host, id, count))??;
        let (host, link) = (host.get(), id.get());
        log!(debug, shared.log, Link, host, link, count, "pong count set");
        Ok(())
    }

    /// Returns how many pongs must arrive in time before the link comes up.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn pong_count(&self) -> Result<u8, Error> {
        Ok(self.status()?.pong_count)
    }

    /// Sets the priority for [`Policy::Passive`](crate::Policy::Passive), 0 to 255: the link with the
    /// highest is used. The default is 0.
    ///
    /// # Errors
    /// - [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    pub fn set_priority(&self, priority: u8) -> Result<(), Error> {
        let (host, id) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, now| engine.set_priority(now, host, id, priority))??;
        let (host, link) = (host.get(), id.get());
        log!(debug, shared.log, Link, host, link, priority, "priority set");
        Ok(())
    }

    /// Returns the priority.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn priority(&self) -> Result<u8, Error> {
        Ok(self.status()?.priority)
    }

    /// Sets a marking for the link's packets that differs from
    /// [`Handle::set_marking`](crate::Handle::set_marking), from the next packet on: data, pings, path MTU
    /// probes and their replies. `None` returns to that of the handle. Packets of other links keep theirs,
    /// also if they use the same socket.
    ///
    /// Before Linux 6.14, the kernel accepts the traffic class of a single packet, but not its priority.
    /// The priority is then the one that belongs to the class over IPv4, and that of the handle over IPv6.
    ///
    /// # Errors
    /// - [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Dscp, QosMarking};
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// let voice = QosMarking { dscp: Some(Dscp::try_from(46)?), ..QosMarking::default() };
    /// link.set_marking(Some(voice))?;
    /// assert_eq!(link.marking()?, Some(voice));
    /// link.set_marking(None)?;
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_marking(&self, marking: Option<QosMarking>) -> Result<(), Error> {
        let (host, id, tag) = (self.host_id(), self.id(), packet_tag::to_tag(marking));
        self.socket()?;
        let shared = self.handle().shared();
        kernel_limits::log_link_marking(shared.log, marking);
        shared.configure(|engine, now| engine.set_packet_tag(now, host, id, tag))??;
        let (host, link) = (host.get(), id.get());
        log!(debug, shared.log, Link, host, link, ?marking, "marking set");
        Ok(())
    }

    /// Returns the marking of the link's packets, if it differs from
    /// [`Handle::marking`](crate::Handle::marking).
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`.
    pub fn marking(&self) -> Result<Option<QosMarking>, Error> {
        let (host, id) = (self.host_id(), self.id());
        self.socket()?;
        let tag = self.handle().shared().query(|engine, _| engine.packet_tag(host, id))?;
        Ok(packet_tag::from_tag(tag))
    }
}
