//! A link of libknet.

use std::ffi::c_uint;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kronosnet::{HostId, LinkId, PingTimers};
use libc::time_t;
use socket2::SockAddr;

use super::error::CallError;
use super::raw::check;
use super::shared::Shared;
use super::structs::{self, LinkStats};

/// A configured link. Dropping this does not remove it.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
    host: HostId,
    id: LinkId,
}

/// The status of a link.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// `true` if the link is enabled.
    pub enabled: bool,
    /// `true` if the link is up.
    pub connected: bool,
    /// `true` if a dynamic link has learned the address of its peer.
    pub dynconnected: bool,
    /// The mean round-trip time.
    pub latency: Duration,
    /// How many bytes of a message a packet carries.
    pub mtu: usize,
    /// The bytes of all headers of a packet; 0 until the path MTU was probed.
    pub overhead: usize,
    /// Its counters.
    pub stats: LinkStats,
}

impl Link {
    #[allow(unsafe_code)]
    pub(super) fn configure(
        shared: Arc<Shared>,
        host: HostId,
        id: LinkId,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<Self, CallError> {
        let raw = &shared.raw;
        let (local, remote) = (SockAddr::from(local), remote.map(SockAddr::from));
        let source = local.as_ptr().cast_mut().cast();
        let destination = remote
            .as_ref()
            .map_or(std::ptr::null_mut(), |remote| remote.as_ptr().cast_mut().cast());
        // SAFETY: the handle is valid. Both addresses are valid during the call, which only reads them.
        let configured = unsafe {
            (raw.symbols().knet_link_set_config)(
                raw.pointer(),
                host.get(),
                id.get(),
                UDP,
                source,
                destination,
                0,
            )
        };
        check("knet_link_set_config", configured)?;
        Ok(Self { shared, host, id })
    }

    /// Enables the link (`knet_link_set_enable`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn enable(&self) -> Result<(), CallError> {
        self.shared.raw.enable_link(self.host.get(), self.id.get(), 1)
    }

    /// Disables the link.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn disable(&self) -> Result<(), CallError> {
        self.shared.raw.enable_link(self.host.get(), self.id.get(), 0)
    }

    /// Removes the link, which must be disabled (`knet_link_clear_config`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn clear(self) -> Result<(), CallError> {
        self.shared.raw.clear_link(self.host.get(), self.id.get())
    }

    /// Sets its ping timers, in whole milliseconds. libknet increases the interval to at least 200 ms
    /// (`knet_link_set_ping_timers`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_ping_timers(&self, timers: PingTimers) -> Result<(), CallError> {
        let PingTimers { interval, timeout, precision } = timers;
        let (host, link) = (self.host.get(), self.id.get());
        let precision: c_uint = precision;
        self.shared.raw.set_ping_timers(host, link, millis(interval), millis(timeout), precision)
    }

    /// Sets how many pongs bring the link up, to which libknet adds one (`knet_link_set_pong_count`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_pong_count(&self, count: u8) -> Result<(), CallError> {
        self.shared.raw.set_pong_count(self.host.get(), self.id.get(), count)
    }

    /// Sets its priority for the passive policy (`knet_link_set_priority`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_priority(&self, priority: u8) -> Result<(), CallError> {
        self.shared.raw.set_priority(self.host.get(), self.id.get(), priority)
    }

    /// Accepts the peer of a dynamic link from this network, by adding it to the access list
    /// (`knet_link_add_acl`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn accept_network(&self, network: IpAddr, mask: IpAddr) -> Result<(), CallError> {
        let raw = &self.shared.raw;
        let [network, mask] = [network, mask].map(|ip| SockAddr::from(SocketAddr::new(ip, 0)));
        let (host, link) = (self.host.get(), self.id.get());
        // SAFETY: the handle is valid. Both addresses are valid during the call, which only reads them.
        let added = unsafe {
            (raw.symbols().knet_link_add_acl)(
                raw.pointer(),
                host,
                link,
                network.as_ptr().cast_mut().cast(),
                mask.as_ptr().cast_mut().cast(),
                CHECK_TYPE_MASK,
                CHECK_ACCEPT,
            )
        };
        check("knet_link_add_acl", added)
    }

    /// Returns its status (`knet_link_get_status`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn status(&self) -> Result<LinkStatus, CallError> {
        let raw = &self.shared.raw;
        let mut status = structs::LinkStatus::empty();
        let size = size_of_val(&status);
        let (host, link) = (self.host.get(), self.id.get());
        // SAFETY: the handle is valid, and the out-pointer points to a live local of the given size, which
        // is that of libknet's structure.
        let returned = unsafe {
            (raw.symbols().knet_link_get_status)(raw.pointer(), host, link, &mut status, size)
        };
        check("knet_link_get_status", returned)?;
        Ok(LinkStatus {
            enabled: status.enabled != 0,
            connected: status.connected != 0,
            dynconnected: status.dynconnected != 0,
            latency: Duration::from_micros(status.latency),
            mtu: status.mtu as usize,
            overhead: status.proto_overhead as usize,
            stats: status.stats,
        })
    }
}

fn millis(duration: Duration) -> time_t {
    time_t::try_from(duration.as_millis()).unwrap_or(time_t::MAX)
}

/// `KNET_TRANSPORT_UDP`.
const UDP: u8 = 1;
/// The value of `check_type_t` for a network and its mask.
const CHECK_TYPE_MASK: c_uint = 1;
/// The value of `check_acceptreject_t` for accepting.
const CHECK_ACCEPT: c_uint = 0;
