//! The links of a host: removing and enabling them, their settings and their status.

use std::time::Instant;

use knet_wire::{HostId, LinkId};

use super::Engine;
use crate::config::{PacketTag, PingTimers};
use crate::error::LinkError;
use crate::event::{DownReason, LinkState};
use crate::link::{LinkPeer, LinkStatus};
use crate::timers::TimerKey;

impl Engine {
    /// Removes a disabled link with its settings and counters. Returns its peer, so that the driver
    /// can close a socket that is no longer used.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::Enabled`].
    pub fn clear_link(&mut self, host: HostId, link: LinkId) -> Result<LinkPeer, LinkError> {
        if self.link(host, link)?.is_enabled() {
            return Err(LinkError::Enabled { host, link });
        }
        let entry = self.hosts.get_mut(&host).ok_or(LinkError::UnknownHost(host))?;
        let slot = entry.slot(link);
        let mut cleared = slot.take().ok_or(LinkError::NotConfigured { host, link })?;
        self.timers.set(TimerKey::Link(host, link), &mut cleared.deadline, None);
        self.sockets.remove(&cleared.peer);
        self.addresses.remove(host, link, &cleared.peer);
        Ok(cleared.peer)
    }

    /// Enables or disables a link. Enabling sends the first ping at once; disabling takes an active
    /// link out of use at once. Setting the same value again has no effect.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_link_enabled(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        enabled: bool,
    ) -> Result<(), LinkError> {
        let entry = self.link_mut(host, link)?;
        if entry.is_enabled() == enabled {
            return Ok(());
        }
        if enabled {
            entry.enable(now);
            if entry.peer == LinkPeer::Loopback {
                // No peer has to answer.
                self.link_up(now, host, link);
            }
            self.watch_link(now, host, link);
            return Ok(());
        }
        let was_up = entry.disable(now);
        self.timers_off(host, link);
        if was_up {
            self.announce(now, host, link, LinkState::Down(DownReason::Disabled));
        }
        Ok(())
    }

    /// Sets the ping timers of a link. Takes effect at once.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::PingTimers`].
    pub fn set_ping_timers(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        timers: PingTimers,
    ) -> Result<(), LinkError> {
        timers.validate()?;
        self.link_mut(host, link)?.heartbeat.set_timers(now, timers);
        self.watch_link(now, host, link);
        Ok(())
    }

    /// Sets how many pongs in time bring a link up, 1 to 255.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::NoPongs`] for 0.
    pub fn set_pong_count(
        &mut self,
        host: HostId,
        link: LinkId,
        count: u8,
    ) -> Result<(), LinkError> {
        if count == 0 {
            return Err(LinkError::NoPongs);
        }
        self.link_mut(host, link)?.heartbeat.set_pong_count(count);
        Ok(())
    }

    /// Sets a link's priority: the highest wins under [`Policy::Passive`](crate::Policy::Passive).
    /// Takes effect at once.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_priority(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        priority: u8,
    ) -> Result<(), LinkError> {
        self.link_mut(host, link)?.priority = priority;
        self.refresh_routes(now, host);
        Ok(())
    }

    /// Sets the tag of a link's packets. Takes effect with the next packet.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_packet_tag(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        tag: PacketTag,
    ) -> Result<(), LinkError> {
        self.link_mut(host, link)?.tag = tag;
        self.refresh_routes(now, host);
        Ok(())
    }

    /// Sets the zone of a link whose peer has a given link-local IPv6 address: the index of the
    /// interface on which it is. An interface that was made again has another one. Has no effect on
    /// other links. Takes effect with the next packet.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
    /// # use knet_wire::{HostId, LinkId};
    /// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
    /// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
    /// # let mut engine = Engine::new(now, &config);
    /// # engine.add_host(peer)?;
    /// let path = LinkPath { socket: SocketId(0), remote: "[fe80::2%3]:5405".parse()? };
    /// engine.add_link(now, peer, link, path)?;
    /// engine.set_remote_scope(now, peer, link, 7)?;
    /// engine.set_link_enabled(now, peer, link, true)?;
    /// let ping = engine.poll_transmit().expect("the first ping");
    /// assert_eq!(ping.path().remote, "[fe80::2%7]:5405".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_remote_scope(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        scope: u32,
    ) -> Result<(), LinkError> {
        if self.link_mut(host, link)?.peer.set_scope(scope) {
            self.refresh_routes(now, host);
        }
        Ok(())
    }

    /// Returns the tag of a link's packets.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn packet_tag(&self, host: HostId, link: LinkId) -> Result<PacketTag, LinkError> {
        Ok(self.link(host, link)?.tag)
    }

    /// Iterates over the configured links of a host in ascending order.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`].
    pub fn links(&self, host: HostId) -> Result<impl Iterator<Item = LinkId>, LinkError> {
        let entry = self.hosts.get(&host).ok_or(LinkError::UnknownHost(host))?;
        Ok(entry.links().map(|(id, _)| id))
    }

    /// Returns a link's settings, state and counters.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn link_status(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
    ) -> Result<LinkStatus, LinkError> {
        Ok(self.link(host, link)?.status(now, self.manual_mtu, self.crypto))
    }

    /// Resets the counters and the history of a link. Its state and its mean latency stay.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn clear_link_stats(&mut self, host: HostId, link: LinkId) -> Result<(), LinkError> {
        self.link_mut(host, link)?.clear_stats();
        Ok(())
    }
}
