//! The settings of a link.

use std::net::SocketAddr;

use knet_engine::{AclEntry, DEFAULT_PONG_COUNT, PingTimers};
use knet_transport::{QosMarking, ZoneError, ZonedAddr};

use crate::link_transport::Transport;
use crate::link_zones::LinkZones;

/// The settings of a link, for [`Host::add_link`](crate::Host::add_link): where it leads, and what
/// differs from the defaults.
///
/// [`LinkConfig::udp`], [`LinkConfig::udp_dynamic`] and [`LinkConfig::loopback`] return the defaults for
/// a kind of link. All fields but [`ends`](LinkConfig::ends) can be changed later, with the setter of the
/// same name on [`Link`](crate::Link).
///
/// # Examples
///
/// A link that goes down within half a second, for a network that rarely loses packets:
///
/// ```
/// use std::time::Duration;
/// use knet_handle::{Handle, HostId, LinkConfig, LinkId, PingTimers};
///
/// # fn main() -> Result<(), knet_handle::Error> {
/// # let handle = Handle::new(HostId::new(1))?;
/// # let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
/// let config = LinkConfig {
///     ping_timers: PingTimers {
///         interval: Duration::from_millis(100),
///         timeout: Duration::from_millis(500),
///         ..PingTimers::default()
///     },
///     pong_count: 2,
///     ..LinkConfig::udp(local, remote)
/// };
/// let link = handle.add_host(HostId::new(2))?.add_link(LinkId::new(0)?, config)?;
/// assert_eq!(link.pong_count()?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers write the rest as `..LinkConfig::udp(…)`")]
pub struct LinkConfig {
    /// Where the link leads.
    pub ends: LinkEnds,

    /// The timers of the heartbeat: [`Link::set_ping_timers`](crate::Link::set_ping_timers).
    ///
    /// - Range: [`PingTimers::validate`].
    /// - Default: a ping per second, and down after 2 s without a pong.
    /// - Cost: two packets per interval; a short timeout takes the link down when packets are merely
    ///   late.
    pub ping_timers: PingTimers,

    /// How many pongs must arrive in time before the link comes up:
    /// [`Link::set_pong_count`](crate::Link::set_pong_count).
    ///
    /// - Range: 1 to 255.
    /// - Default: 5.
    /// - Cost: the link comes up that many ping intervals after its first pong; a low count lets a bad
    ///   link come up more often.
    pub pong_count: u8,

    /// The priority for [`Policy::Passive`](crate::Policy::Passive), which uses the link with the
    /// highest: [`Link::set_priority`](crate::Link::set_priority).
    ///
    /// - Range: 0 to 255.
    /// - Default: 0.
    pub priority: u8,

    /// The marking of the link's packets: [`Link::set_marking`](crate::Link::set_marking). A loopback
    /// link has none.
    ///
    /// - Default: `None`, which is that of the handle.
    /// - Cost: a control message per system call.
    pub marking: Option<QosMarking>,

    /// The access list of a dynamic link: [`Link::acl`](crate::Link::acl). Other links have none.
    ///
    /// - Default: empty, which accepts no peer.
    pub acl: Vec<AclEntry>,

    /// The interfaces of link-local IPv6 addresses, by name. The link follows them: an interface that is
    /// made again has another index, and then the addresses in [`ends`](LinkConfig::ends) get it.
    ///
    /// - Default: none. Addresses with a zone keep its index.
    /// - Cost: a thread of the handle, which sleeps until an interface changes. It looks up names in the
    ///   network namespace of the thread that added the first such link.
    pub zones: LinkZones,
}

/// Where a link leads: the addresses of its ends, as far as they are known.
///
/// # Examples
///
/// ```
/// use knet_handle::{LinkConfig, LinkEnds};
///
/// let (local, remote) = (([192, 0, 2, 1], 5405).into(), ([192, 0, 2, 2], 5405).into());
/// assert_eq!(LinkConfig::udp(local, remote).ends, LinkEnds::Udp { local, remote });
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LinkEnds {
    /// A link over UDP between two addresses: [`LinkConfig::udp`].
    Udp {
        /// The address of this host.
        local: SocketAddr,
        /// The address of the peer.
        remote: SocketAddr,
    },
    /// A link over UDP to a peer whose address is learned: [`LinkConfig::udp_dynamic`].
    UdpDynamic {
        /// The address of this host.
        local: SocketAddr,
    },
    /// A link to this host itself: [`LinkConfig::loopback`].
    Loopback,
}

impl LinkConfig {
    /// Returns the default settings of a link over UDP to a peer with a known address.
    ///
    /// With port 0 in `local`, the kernel picks a port. Links with the same local address share a socket.
    #[must_use]
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::new(LinkEnds::Udp { local, remote })
    }

    /// Returns the default settings of a link over UDP to a peer whose address is unknown, or may change.
    ///
    /// The address is learned from the peer's packets, and followed when they come from another one. The
    /// peer needs a link to the `local` address, made with [`LinkConfig::udp`], and its own address must
    /// be accepted by the link's [access list](LinkConfig::acl).
    ///
    /// Such a link cannot share a local address with a link made with [`LinkConfig::udp`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{AclAction, AclEntry, Handle, HostId, LinkConfig, LinkId};
    ///
    /// # fn main() -> Result<(), knet_handle::Error> {
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let local = ([127, 0, 0, 1], 0).into();
    /// let config = LinkConfig {
    ///     acl: vec![AclEntry::address(AclAction::Accept, [127, 0, 0, 1].into())],
    ///     ..LinkConfig::udp_dynamic(local)
    /// };
    /// let link = handle.add_host(HostId::new(2))?.add_link(LinkId::new(0)?, config)?;
    /// assert_eq!(link.remote_addr()?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn udp_dynamic(local: SocketAddr) -> Self {
        Self::new(LinkEnds::UdpDynamic { local })
    }

    /// Returns the default settings of a link over UDP between two addresses whose zones may have names, as
    /// `[fe80::1%eth0]:5405`.
    ///
    /// # Errors
    /// [`ZoneError`] if there is no such interface now. Later it may be made again.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{LinkConfig, ZoneError};
    ///
    /// let config = LinkConfig::udp_zoned("[fe80::1%lo]:5405".parse()?, "[fe80::2%lo]:5405".parse()?)?;
    /// assert_eq!(config.zones.remote, Some("lo".parse()?));
    ///
    /// let error = LinkConfig::udp_zoned("[::]:5405".parse()?, "[fe80::2%no-such]:5405".parse()?);
    /// assert!(matches!(error, Err(ZoneError::UnknownInterface(_))));
    /// # Ok::<(), ZoneError>(())
    /// ```
    pub fn udp_zoned(local: ZonedAddr, remote: ZonedAddr) -> Result<Self, ZoneError> {
        let zones = LinkZones { local: local.zone(), remote: remote.zone() };
        Ok(Self { zones, ..Self::udp(local.resolve()?, remote.resolve()?) })
    }

    /// Returns the default settings of a [dynamic link](LinkConfig::udp_dynamic) from an address whose zone
    /// may have a name.
    ///
    /// # Errors
    /// [`ZoneError`] if there is no such interface now.
    pub fn udp_dynamic_zoned(local: ZonedAddr) -> Result<Self, ZoneError> {
        let zones = LinkZones { local: local.zone(), remote: None };
        Ok(Self { zones, ..Self::udp_dynamic(local.resolve()?) })
    }

    /// Returns the default settings of a link to this host itself: messages to the own host id are
    /// delivered here, without packets, and without passing the filter a second time.
    ///
    /// Such a link must be the only link of the own host id. It is up, and the host reachable, while it is
    /// enabled. Messages are delivered by another thread: sending succeeds once a message is queued, and
    /// those that a full datafd does not accept are counted for its channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    ///
    /// # fn main() -> Result<(), knet_handle::Error> {
    /// let handle = Handle::new(HostId::new(1))?;
    /// let itself = handle.add_host(handle.host_id())?;
    /// itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// assert!(itself.is_reachable()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn loopback() -> Self {
        Self::new(LinkEnds::Loopback)
    }

    fn new(ends: LinkEnds) -> Self {
        Self {
            ends,
            ping_timers: PingTimers::default(),
            pong_count: DEFAULT_PONG_COUNT,
            priority: 0,
            marking: None,
            acl: Vec::new(),
            zones: LinkZones::default(),
        }
    }

    /// Returns what carries the messages of the link.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{LinkConfig, Transport};
    ///
    /// let local = ([192, 0, 2, 1], 5405).into();
    /// let config = LinkConfig::udp_dynamic(local);
    /// assert_eq!(config.transport(), Transport::Udp);
    /// assert_eq!((config.local(), config.remote()), (Some(local), None));
    /// ```
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.ends {
            LinkEnds::Udp { .. } | LinkEnds::UdpDynamic { .. } => Transport::Udp,
            LinkEnds::Loopback => Transport::Loopback,
        }
    }

    /// Returns the address of this host, as it was given, or `None` for a loopback link.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self.ends {
            LinkEnds::Udp { local, .. } | LinkEnds::UdpDynamic { local } => Some(local),
            LinkEnds::Loopback => None,
        }
    }

    /// Returns the address of the peer, if it was given.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self.ends {
            LinkEnds::Udp { remote, .. } => Some(remote),
            LinkEnds::UdpDynamic { .. } | LinkEnds::Loopback => None,
        }
    }
}
