//! A link of libknet.

use std::ffi::c_uint;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use kronosnet::{HostId, LinkId, PingTimers};
use libc::time_t;
use socket2::SockAddr;

use super::error::CallError;
use super::handle::Handle;
use super::raw::check;
use super::structs::{self, LinkStats};

/// A link that was configured. It stays when this is dropped.
#[derive(Clone, Debug)]
pub struct Link {
    handle: Handle,
    host: HostId,
    id: LinkId,
}

/// The state of a link.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// Whether it is administratively enabled.
    pub enabled: bool,
    /// Whether it is up.
    pub connected: bool,
    /// Whether a link without a remote address has learned that of its peer.
    pub dynconnected: bool,
    /// The mean round trip.
    pub latency: Duration,
    /// How many bytes of a message fit into a packet.
    pub mtu: usize,
    /// The overhead of a packet in bytes; 0 until a path was probed.
    pub overhead: usize,
    /// Its counters.
    pub stats: LinkStats,
}

impl Link {
    #[allow(unsafe_code)]
    pub(super) fn configure(
        handle: Handle,
        host: HostId,
        id: LinkId,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<Self, CallError> {
        let raw = handle.raw();
        let (local, remote) = (SockAddr::from(local), remote.map(SockAddr::from));
        let source = local.as_ptr().cast_mut().cast();
        let destination = remote
            .as_ref()
            .map_or(std::ptr::null_mut(), |remote| remote.as_ptr().cast_mut().cast());
        // SAFETY: the handle is valid; both addresses are whole and live during the call, which copies
        // them and changes nothing.
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
        Ok(Self { handle, host, id })
    }

    /// Enables the link (`knet_link_set_enable`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn enable(&self) -> Result<(), CallError> {
        self.handle.raw().enable_link(self.host.get(), self.id.get(), 1)
    }

    /// Disables the link.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn disable(&self) -> Result<(), CallError> {
        self.handle.raw().enable_link(self.host.get(), self.id.get(), 0)
    }

    /// Clears the link, which must be disabled (`knet_link_clear_config`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn clear(self) -> Result<(), CallError> {
        self.handle.raw().clear_link(self.host.get(), self.id.get())
    }

    /// Sets its ping timers, in whole milliseconds (`knet_link_set_ping_timers`). libknet rounds
    /// the interval up to 200 ms.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_ping_timers(&self, timers: PingTimers) -> Result<(), CallError> {
        let PingTimers { interval, timeout, precision } = timers;
        let (host, link) = (self.host.get(), self.id.get());
        let precision: c_uint = precision;
        self.handle.raw().set_ping_timers(host, link, millis(interval), millis(timeout), precision)
    }

    /// Sets how many valid pongs bring it up, to which libknet adds one
    /// (`knet_link_set_pong_count`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_pong_count(&self, count: u8) -> Result<(), CallError> {
        self.handle.raw().set_pong_count(self.host.get(), self.id.get(), count)
    }

    /// Sets its priority for the passive policy (`knet_link_set_priority`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_priority(&self, priority: u8) -> Result<(), CallError> {
        self.handle.raw().set_priority(self.host.get(), self.id.get(), priority)
    }

    /// Accepts the peer of a dynamic link from this network, by adding that to the access list
    /// (`knet_link_add_acl`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn accept_network(&self, network: IpAddr, mask: IpAddr) -> Result<(), CallError> {
        let raw = self.handle.raw();
        let [network, mask] = [network, mask].map(|ip| SockAddr::from(SocketAddr::new(ip, 0)));
        let (host, link) = (self.host.get(), self.id.get());
        // SAFETY: the handle is valid; both addresses are whole and live during the call, which copies
        // them and changes nothing.
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

    /// Returns its state (`knet_link_get_status`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn status(&self) -> Result<LinkStatus, CallError> {
        let raw = self.handle.raw();
        let mut status = structs::LinkStatus::empty();
        let size = size_of_val(&status);
        let (host, link) = (self.host.get(), self.id.get());
        // SAFETY: the handle is valid, and the out-pointer is to a live local of the size given, which
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
/// Of `check_type_t`: a network and its mask.
const CHECK_TYPE_MASK: c_uint = 1;
/// Of `check_acceptreject_t`.
const CHECK_ACCEPT: c_uint = 0;
