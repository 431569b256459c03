//! One link, as the application sees it.

use std::net::SocketAddr;
use std::time::Instant;

use knet_engine::{
    Engine, LinkError, LinkKind, LinkPath, LinkPeer, LinkStatus, PingTimers, SocketId,
};
use knet_transport::QosMarking;
use knet_wire::{HostId, IpVersion, LinkId};

use crate::api::handle::Handle;
use crate::api::link_config::{LinkConfig, LinkEnds};
use crate::core::shared::Shared;
use crate::error::Error;
use crate::io::{kernel_limits, packet_tag};

/// A link to a host. It counts as a clone of the [`Handle`].
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
        shared.outside_filter()?;
        if let LinkEnds::Udp { local, remote } = config.ends {
            if local.is_ipv4() != remote.is_ipv4() {
                return Err(Error::MixedFamilies { local, remote });
            }
        }
        // Before a socket is opened for nothing.
        shared.query(|engine, _| engine.links(host).map(|_| ()))?;
        let acquire = |local| shared.sockets.acquire(local, &shared.rx.poller);
        let peer = match config.ends {
            LinkEnds::Udp { local, remote } => {
                LinkPath { socket: acquire(local)?.0, remote }.into()
            }
            LinkEnds::UdpDynamic { local } => LinkPeer::dynamic(acquire(local)?.0, version(local)),
            LinkEnds::Loopback => LinkPeer::Loopback,
        };
        let added = shared.configure(|engine, now| {
            engine.add_link(now, host, id, peer)?;
            apply(engine, now, (host, id), &config).inspect_err(|_| {
                // It was added a moment ago, and the engine is locked.
                let _ = engine.clear_link(host, id);
            })
        });
        if let Err(error) = added.and_then(|added| added) {
            release(shared, &peer);
            return Err(error);
        }
        Ok(Self::new(handle.clone(), host, id))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The host at its other end.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.host
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Starts watching and using it. It comes up when enough pongs came.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn enable(&self) -> Result<(), Error> {
        self.set_enabled(true)
    }

    /// Stops watching and using it. We go on answering the peer's pings, and the peer goes on using
    /// its side until it disables it too.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn disable(&self) -> Result<(), Error> {
        self.set_enabled(false)
    }

    fn set_enabled(&self, enabled: bool) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        Ok(shared.configure(|engine, now| engine.set_link_enabled(now, host, id, enabled))??)
    }

    /// Whether it is administratively enabled.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn is_enabled(&self) -> Result<bool, Error> {
        Ok(self.status()?.enabled)
    }

    /// Sets how it is watched, at once.
    ///
    /// # Errors
    /// [`Error::Link`] with `PingTimers`, `UnknownHost` or `NotConfigured`;
    /// [`Error::InsideFilter`].
    pub fn set_ping_timers(&self, timers: PingTimers) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        Ok(shared.configure(|engine, now| engine.set_ping_timers(now, host, id, timers))??)
    }

    /// How it is watched.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn ping_timers(&self) -> Result<PingTimers, Error> {
        Ok(self.status()?.ping_timers)
    }

    /// Sets how many good pongs bring it up, 1 to 255. Default 5.
    ///
    /// # Errors
    /// [`Error::Link`] with `NoPongs`, `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn set_pong_count(&self, count: u8) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        Ok(self.handle.shared().configure(|engine, _| engine.set_pong_count(host, id, count))??)
    }

    /// How many good pongs bring it up.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn pong_count(&self) -> Result<u8, Error> {
        Ok(self.status()?.pong_count)
    }

    /// Sets its priority for the passive policy, 0 to 255: the highest wins. Default 0.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn set_priority(&self, priority: u8) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        Ok(shared.configure(|engine, now| engine.set_priority(now, host, id, priority))??)
    }

    /// Its priority.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn priority(&self) -> Result<u8, Error> {
        Ok(self.status()?.priority)
    }

    /// Marks its packets in another way than [`Handle::set_marking`] says, from the next on: data,
    /// pings, path MTU probes and what answers them. `None` goes back to that. What other links send,
    /// through the same socket too, stays marked as it is.
    ///
    /// Before Linux 6.14 the kernel takes the traffic class of a single packet, but not its priority:
    /// over IPv4 that is then the one which belongs to the class, over IPv6 that of the handle.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`; [`Error::InsideFilter`].
    pub fn set_marking(&self, marking: Option<QosMarking>) -> Result<(), Error> {
        let (host, id, tag) = (self.host, self.id, packet_tag::to_tag(marking));
        self.socket()?;
        let shared = self.handle.shared();
        kernel_limits::log_link_marking(shared.log, marking);
        Ok(shared.configure(|engine, now| engine.set_packet_tag(now, host, id, tag))??)
    }

    /// How its packets are marked, if in another way than [`Handle::marking`] says.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`.
    pub fn marking(&self) -> Result<Option<QosMarking>, Error> {
        let (host, id) = (self.host, self.id);
        self.socket()?;
        let tag = self.handle.shared().query(|engine, _| engine.packet_tag(host, id))?;
        Ok(packet_tag::from_tag(tag))
    }

    /// Its settings, state and counters.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn status(&self) -> Result<LinkStatus, Error> {
        let (host, id) = (self.host, self.id);
        Ok(self.handle.shared().query(|engine, now| engine.link_status(now, host, id))?)
    }

    /// Starts counting its packets and changes anew, the least and the most latency too. Its state
    /// and its mean latency stay.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn clear_stats(&self) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        Ok(self.handle.shared().configure(|engine, _| engine.clear_link_stats(host, id))??)
    }

    /// Returns the current settings of the link, with the port that the kernel picked.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
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
            ..defaults
        })
    }

    /// The address that our end is bound to, with the port that the kernel picked if it was asked
    /// to.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`, `NotConfigured` or `NoAddress`.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let socket = self.socket()?;
        self.handle.shared().sockets.local_addr(socket).ok_or_else(|| self.cleared())
    }

    fn socket(&self) -> Result<SocketId, Error> {
        let (host, link) = (self.host, self.id);
        Ok(self.status()?.socket.ok_or(LinkError::NoAddress { host, link })?)
    }

    /// What there is to say of a link that somebody else clears at this moment.
    fn cleared(&self) -> Error {
        LinkError::NotConfigured { host: self.host, link: self.id }.into()
    }

    /// The address of the peer's end: the one that was given, or where the peer of a dynamic link was
    /// found last; `None` before it was. [`LinkStatus::peer_known`] says whether it is there still.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn remote_addr(&self) -> Result<Option<SocketAddr>, Error> {
        Ok(self.status()?.remote)
    }

    /// Forgets its configuration and counters, and closes its socket if no other link uses it. It
    /// must be disabled.
    ///
    /// # Errors
    /// [`Error::Link`] with `Enabled`, `UnknownHost` or `NotConfigured`; [`Error::InsideFilter`].
    pub fn clear(self) -> Result<(), Error> {
        let (host, id) = (self.host, self.id);
        let shared = self.handle.shared();
        let peer = shared.configure(|engine, _| engine.clear_link(host, id))??;
        release(shared, &peer);
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
    let LinkConfig { ends, ping_timers, pong_count, priority, marking, acl } = config;
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

/// Gives up a link's use of its socket, if it has one.
fn release(shared: &Shared, peer: &LinkPeer) {
    if let Some(socket) = peer.socket() {
        shared.release_socket(socket);
    }
}

fn version(address: SocketAddr) -> IpVersion {
    if address.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
}
