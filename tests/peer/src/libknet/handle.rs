//! A handle, and its settings as a whole.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kronosnet::{Channel, ChannelRequest, HostId, Verdict};

use super::callbacks::{self, Filter, FilterMessage};
use super::datafd::Datafd;
use super::error::CallError;
use super::host::Host;
use super::library::Library;
use super::raw::{Raw, check};
use super::shared::Shared;

/// A handle of libknet. It is freed, with all of its hosts and links, when the last clone of it and the
/// last object created from it are dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Creates a handle, which takes 0.2 s or more (`knet_handle_new_ex`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn new(library: &'static Library, host: HostId) -> Result<Self, CallError> {
        let shared = Shared::new(Raw::new(library, host.get())?);
        let handle = Self { shared: Arc::new(shared) };
        handle.enable_notifications()?;
        Ok(handle)
    }

    /// Enables notifications of hosts and datafds. libknet adds no datafd without the latter.
    #[allow(unsafe_code)]
    fn enable_notifications(&self) -> Result<(), CallError> {
        let (raw, symbols) = (&self.shared.raw, self.shared.raw.symbols());
        let data = Arc::as_ptr(&self.shared.notifications).cast_mut().cast::<c_void>();
        // SAFETY: the handle is valid. The data has the type that the function expects, and is dropped
        // only after the handle was freed.
        let enabled = unsafe {
            (symbols.knet_handle_enable_sock_notify)(raw.pointer(), data, callbacks::datafd_changed)
        };
        check("knet_handle_enable_sock_notify", enabled)?;
        let callback: Option<super::symbols::HostNotify> = Some(callbacks::host_changed);
        // SAFETY: as above.
        let enabled = unsafe {
            (symbols.knet_host_enable_status_change_notify)(raw.pointer(), data, callback)
        };
        check("knet_host_enable_status_change_notify", enabled)
    }

    fn raw(&self) -> &Raw {
        &self.shared.raw
    }

    /// Adds a datafd that libknet creates (`knet_handle_add_datafd`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn add_datafd(&self, channel: ChannelRequest) -> Result<Datafd, CallError> {
        let raw = self.raw();
        let mut fd: c_int = 0;
        let mut number: i8 = match channel {
            ChannelRequest::Any => -1,
            ChannelRequest::Exact(channel) => channel.into(),
        };
        // SAFETY: the handle is valid, and both out-pointers point to live locals.
        let added =
            unsafe { (raw.symbols().knet_handle_add_datafd)(raw.pointer(), &mut fd, &mut number) };
        check("knet_handle_add_datafd", added)?;
        Ok(Datafd::new(self.shared.clone(), fd, number))
    }

    /// Sends a message to one host, in the caller's thread. Needs a filter that selects the host
    /// (`knet_send_sync`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn send_sync(&self, channel: Channel, message: &[u8]) -> Result<(), CallError> {
        let raw = self.raw();
        let bytes = message.as_ptr().cast();
        // SAFETY: the handle is valid, and the call only reads this many bytes.
        let sent = unsafe {
            (raw.symbols().knet_send_sync)(raw.pointer(), bytes, message.len(), channel.into())
        };
        check("knet_send_sync", sent)
    }

    /// Sets the filter that decides the destinations of messages (`knet_handle_enable_filter`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn set_filter(
        &self,
        filter: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Result<(), CallError> {
        let raw = self.raw();
        let mut kept = self.shared.filter.lock().unwrap_or_else(PoisonError::into_inner);
        let filter = Box::new(Filter(Box::new(filter)));
        let data = (&raw const *filter).cast_mut().cast::<c_void>();
        let callback: Option<super::symbols::Filter> = Some(callbacks::filter);
        // SAFETY: the handle is valid. The data has the type that the function expects, and is dropped
        // only after the filter was replaced or the handle was freed.
        let set =
            unsafe { (raw.symbols().knet_handle_enable_filter)(raw.pointer(), data, callback) };
        check("knet_handle_enable_filter", set)?;
        // The previous filter is no longer called: libknet waits for running calls before it returns.
        *kept = Some(filter);
        Ok(())
    }

    /// Enables or disables forwarding. Disabling takes 0.6 s, in which written messages are still sent
    /// (`knet_handle_setfwd`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_forwarding(&self, on: bool) -> Result<(), CallError> {
        self.raw().set_forwarding(on.into())
    }

    /// Enables or disables the access lists (`knet_handle_enable_access_lists`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_access_lists(&self, on: bool) -> Result<(), CallError> {
        self.raw().set_access_lists(on.into())
    }

    /// Sets how often the path MTU is probed, in whole seconds (`knet_handle_pmtud_setfreq`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_mtu_interval(&self, interval: Duration) -> Result<(), CallError> {
        self.raw().set_pmtud_interval(c_uint::try_from(interval.as_secs()).unwrap_or(c_uint::MAX))
    }

    /// Sets the size of packets with all headers, instead of probing for it (`knet_handle_pmtud_set`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_manual_mtu(&self, onwire: Option<u16>) -> Result<(), CallError> {
        self.raw().set_manual_mtu(onwire.unwrap_or(0).into())
    }

    /// Returns how many bytes of a message a packet carries (`knet_handle_pmtud_get`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn data_mtu(&self) -> Result<usize, CallError> {
        let raw = self.raw();
        let mut mtu: c_uint = 0;
        // SAFETY: the handle is valid, and the out-pointer points to a live local.
        let returned = unsafe { (raw.symbols().knet_handle_pmtud_get)(raw.pointer(), &mut mtu) };
        check("knet_handle_pmtud_get", returned)?;
        Ok(mtu as usize)
    }

    /// Returns how many received messages were lost because a datafd was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.notifications.lost()
    }

    /// Adds a host (`knet_host_add`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn add_host(&self, host: HostId) -> Result<Host, CallError> {
        self.shared.add_host(host.get())?;
        Ok(Host::new(self.shared.clone(), host))
    }
}
