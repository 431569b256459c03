//! A link, as the application sees it.

use std::net::SocketAddr;
use std::time::Instant;

use knet_engine::{
    AddressProblem, Engine, LinkError, LinkKind, LinkPath, LinkPeer, LinkStatus, SocketId,
};
use knet_wire::{HostId, IpVersion, LinkId};

use crate::api::handle::Handle;
use crate::api::link_config::{LinkConfig, LinkEnds};
use crate::control::zones;
use crate::core::shared::Shared;
use crate::error::Error;
use crate::io::{kernel_limits, packet_tag};
use crate::log::log;

/// A link to a host. It counts as a clone of the [`Handle`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use knet_handle::{Handle, HostId, LinkConfig, LinkId, PingTimers};
///
/// let handle = Handle::new(HostId::new(1))?;
/// let local = handle.bind(([127, 0, 0, 1], 0).into())?;
/// let itself = handle.add_host(handle.host_id())?;
/// let config = LinkConfig {
///     ping_timers: PingTimers { interval: Duration::from_millis(20), ..PingTimers::default() },
///     pong_count: 1,
///     ..LinkConfig::udp(local.addr(), local.addr())
/// };
/// let link = itself.add_link(LinkId::new(0)?, config)?;
/// link.enable()?;
/// itself.wait_until_reachable(Duration::from_secs(10))?;
/// assert!(link.status()?.state.is_up());
///
/// link.disable()?;
/// link.clear()?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Link {
    handle: Handle,
    host: HostId,
    id: LinkId,
}

impl Link {
    pub(crate) fn new(handle: Handle, host: HostId, id: LinkId) -> Self {
        Self { handle, host, id }
    }

    pub(crate) fn configure(
        handle: &Handle,
        host: HostId,
        id: LinkId,
        config: LinkConfig,
    ) -> Result<Self, Error> {
        let shared = handle.shared();
        shared.accept_call()?;
        check_addresses(&config)?;
        if !config.zones.is_empty() {
            shared.zoned_links.start(|| zones::start(shared))?;
        }
        // First, so that no socket is opened for an unknown host.
        shared.query(|engine, _| engine.links(host).map(|_| ()))?;
        let acquire = |local| shared.sockets.acquire(local, &shared.rx.poller);
        let peer = match config.ends {
            LinkEnds::Udp { local, remote } => {
                let socket = acquire(local)?.0;
                // A link of this host to itself may lead to its own socket.
                if host != shared.own && shared.sockets.is_own(remote) {
                    shared.release_socket(socket);
                    let problem = AddressProblem::OwnSocket;
                    return Err(LinkError::UnusableAddress { address: remote, problem }.into());
                }
                LinkPath { socket, remote }.into()
            }
            LinkEnds::UdpDynamic { local } => LinkPeer::dynamic(acquire(local)?.0, version(local)),
            LinkEnds::Loopback => LinkPeer::Loopback,
        };
        let added = shared.configure(|engine, now| {
            engine.add_link(now, host, id, peer)?;
            apply(engine, now, (host, id), &config).inspect_err(|_| {
                // It was added a moment ago, and the engine is locked.
                let _ = engine.clear_link(host, id);
            })?;
            if let (Some(socket), false) = (peer.socket(), config.zones.is_empty()) {
                shared.zoned_links.add(host, id, socket, config.zones);
            }
            Ok(())
        });
        if let Err(error) = added.and_then(|added| added) {
            release(shared, &peer);
            return Err(error);
        }
        if !config.zones.is_empty() {
            shared.zoned_links.wake();
        }
        kernel_limits::log_link_marking(shared.log, config.marking);
        let (ends, link) = (config.ends, id.get());
        log!(info, shared.log, Link, host = host.get(), link, ?ends, "link added");
        log!(
            debug,
            shared.log,
            Link,
            host = host.get(),
            link,
            ?config,
            "configuration of the link"
        );
        Ok(Self::new(handle.clone(), host, id))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Returns the id of the host at the other end.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.host
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Enables the link: starts its heartbeat, and uses it once it is up.
    ///
    /// # Errors
    /// - [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// link.enable()?;
    /// assert!(link.is_enabled()?);
    /// link.disable()?;
    /// assert!(!link.is_enabled()?);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn enable(&self) -> Result<(), Error> {
        self.set_enabled(true)
    }

    /// Disables the link: stops its heartbeat and its use. Pings of the peer are still answered, and the
    /// peer uses its end until it disables it too.
    ///
    /// # Errors
    /// - [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    pub fn disable(&self) -> Result<(), Error> {
        self.set_enabled(false)
    }

    fn set_enabled(&self, enabled: bool) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        shared.configure(|engine, now| engine.set_link_enabled(now, host, id, enabled))??;
        let (host, link) = (host.get(), id.get());
        log!(info, shared.log, Link, host, link, enabled, "link switched");
        Ok(())
    }

    /// Returns `true` if the link is enabled, whether it is up or not.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn is_enabled(&self) -> Result<bool, Error> {
        Ok(self.status()?.enabled)
    }

    /// Returns the settings, the state and the statistics.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{DownReason, LinkState};
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// let status = link.status()?;
    /// assert_eq!(status.state, LinkState::Down(DownReason::Disabled));
    /// assert_eq!(status.latency, None);
    /// assert_eq!(status.stats.tx_packets(), 0);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn status(&self) -> Result<LinkStatus, Error> {
        let (host, id) = (self.host, self.id);
        Ok(self.handle.shared().query(|engine, now| engine.link_status(now, host, id))?)
    }

    /// Resets the statistics, including the lowest and the highest latency. State and mean latency stay.
    ///
    /// # Errors
    /// - [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    pub fn clear_stats(&self) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        Ok(self.handle.shared().configure(|engine, _| engine.clear_link_stats(host, id))??)
    }

    /// Returns the current settings, with the port that the kernel picked.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// link.set_priority(10)?;
    /// let config = link.config()?;
    /// link.clear()?;
    ///
    /// let again = host.add_link(LinkId::new(0)?, config)?;
    /// assert_eq!(again.priority()?, 10);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn config(&self) -> Result<LinkConfig, Error> {
        let status = self.status()?;
        let defaults = match (status.kind, status.remote) {
            (LinkKind::Loopback, _) => LinkConfig::loopback(),
            (LinkKind::Static, Some(remote)) => LinkConfig::udp(self.local_addr()?, remote),
            _ => LinkConfig::udp_dynamic(self.local_addr()?),
        };
        Ok(LinkConfig {
            ping_timers: status.ping_timers,
            pong_count: status.pong_count,
            priority: status.priority,
            marking: if status.socket.is_some() { self.marking()? } else { None },
            acl: if status.kind == LinkKind::Dynamic { self.acl()? } else { Vec::new() },
            zones: self.handle.shared().zoned_links.of(self.host, self.id),
            ..defaults
        })
    }

    /// Returns the address of this end, with the port that the kernel picked.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// # let link = host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
    /// assert_ne!(link.local_addr()?.port(), 0);
    /// assert_eq!(link.remote_addr()?, Some(remote));
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let socket = self.socket()?;
        self.handle.shared().sockets.local_addr(socket).ok_or_else(|| self.cleared())
    }

    pub(crate) fn socket(&self) -> Result<SocketId, Error> {
        let (host, link) = (self.host, self.id);
        Ok(self.status()?.socket.ok_or(LinkError::NoAddress { host, link })?)
    }

    /// Returns the error for a link that was cleared by another thread meanwhile.
    fn cleared(&self) -> Error {
        LinkError::NotConfigured { host: self.host, link: self.id }.into()
    }

    /// Returns the address of the peer's end: the one that was given, or the last one at which the peer of
    /// a dynamic link was found. `None` until then. [`LinkStatus::peer_known`] is `true` while it is valid.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn remote_addr(&self) -> Result<Option<SocketAddr>, Error> {
        Ok(self.status()?.remote)
    }

    /// Removes the link with its settings and statistics, and closes its socket if no other link uses it.
    /// It must be disabled.
    ///
    /// # Errors
    /// - [`Error::Link`] with `Enabled`, `UnknownHost` or `NotConfigured`.
    /// - [`Error::InsideFilter`].
    pub fn clear(self) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        let cleared = shared.configure(|engine, _| {
            let cleared = engine.clear_link(host, id)?;
            shared.zoned_links.remove(host, id);
            Ok::<_, LinkError>(cleared)
        });
        let peer = cleared??;
        release(shared, &peer);
        log!(info, shared.log, Link, host = host.get(), link = id.get(), "link cleared");
        Ok(())
    }
}

/// Applies the settings of a link that has just been added.
fn apply(
    engine: &mut Engine,
    now: Instant,
    (host, link): (HostId, LinkId),
    config: &LinkConfig,
) -> Result<(), Error> {
    let LinkConfig { ends, ping_timers, pong_count, priority, marking, acl, zones: _ } = config;
    engine.set_ping_timers(now, host, link, *ping_timers)?;
    engine.set_pong_count(host, link, *pong_count)?;
    engine.set_priority(now, host, link, *priority)?;
    if marking.is_some() {
        if *ends == LinkEnds::Loopback {
            return Err(LinkError::NoAddress { host, link }.into());
        }
        engine.set_packet_tag(now, host, link, packet_tag::to_tag(*marking))?;
    }
    for &entry in acl {
        engine.insert_acl_entry(host, link, usize::MAX, entry)?;
    }
    Ok(())
}

/// Releases the use of a link's socket, if it has one.
fn release(shared: &Shared, peer: &LinkPeer) {
    if let Some(socket) = peer.socket() {
        shared.release_socket(socket);
    }
}

/// Checks what is known of the addresses before a socket is opened.
fn check_addresses(config: &LinkConfig) -> Result<(), Error> {
    if let LinkEnds::Udp { local, remote } = config.ends {
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(Error::MixedFamilies { local, remote });
        }
    }
    config.local().map_or(Ok(()), check_local)
}

/// Checks that an address can be one of this host.
pub(crate) fn check_local(address: SocketAddr) -> Result<(), Error> {
    match AddressProblem::of_local(address) {
        Some(problem) => Err(LinkError::UnusableAddress { address, problem }.into()),
        None => Ok(()),
    }
}

fn version(address: SocketAddr) -> IpVersion {
    if address.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
}
