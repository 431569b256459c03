//! The handle and its settings.

use std::collections::BTreeSet;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kronosnet::{Channel, ChannelRequest, HostId, LinkId, Verdict};

use super::callbacks::{self, Filter, FilterMessage, News};
use super::datafd::Datafd;
use super::error::CallError;
use super::host::Host;
use super::library::Library;
use super::raw::{Raw, check};

/// A handle of libknet. It is freed, with all of its hosts and links, when its last clone and the
/// last object that it made are dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
}

impl Handle {
    /// Makes a handle, which takes 0.2 s or more (`knet_handle_new_ex`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn new(library: &'static Library, host: HostId) -> Result<Self, CallError> {
        let raw = Raw::new(library, host.get())?;
        let (news, filter, hosts) = Default::default();
        let handle = Self { inner: Arc::new(Inner { raw, news, filter, hosts }) };
        handle.ask_for_news()?;
        Ok(handle)
    }

    /// Subscribes to changes of hosts and datafds; without the latter libknet accepts no datafd.
    #[allow(unsafe_code)]
    fn ask_for_news(&self) -> Result<(), CallError> {
        let (raw, symbols) = (&self.inner.raw, self.inner.raw.symbols());
        let news = Arc::as_ptr(&self.inner.news).cast_mut().cast::<c_void>();
        // SAFETY: the handle is valid, and the news, which are what the function expects, are let go
        // of after it was freed.
        let returned = unsafe {
            (symbols.knet_handle_enable_sock_notify)(raw.pointer(), news, callbacks::datafd_changed)
        };
        check("knet_handle_enable_sock_notify", returned)?;
        let callback: Option<super::symbols::HostNotify> = Some(callbacks::host_changed);
        // SAFETY: as above.
        let returned = unsafe {
            (symbols.knet_host_enable_status_change_notify)(raw.pointer(), news, callback)
        };
        check("knet_host_enable_status_change_notify", returned)
    }

    pub(super) fn raw(&self) -> &Raw {
        &self.inner.raw
    }

    pub(super) fn news(&self) -> &News {
        &self.inner.news
    }

    /// Adds a datafd that libknet makes (`knet_handle_add_datafd`).
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
        // SAFETY: the handle is valid, and both out-pointers are to live locals.
        let added =
            unsafe { (raw.symbols().knet_handle_add_datafd)(raw.pointer(), &mut fd, &mut number) };
        check("knet_handle_add_datafd", added)?;
        Ok(Datafd::new(self.clone(), fd, number))
    }

    /// Sends one message to one host on the caller's thread; it needs a filter that lists the host
    /// (`knet_send_sync`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn send_sync(&self, channel: Channel, message: &[u8]) -> Result<(), CallError> {
        let raw = self.raw();
        let bytes = message.as_ptr().cast();
        // SAFETY: the handle is valid, and the bytes are as many as it is returned and only read.
        let sent = unsafe {
            (raw.symbols().knet_send_sync)(raw.pointer(), bytes, message.len(), channel.into())
        };
        check("knet_send_sync", sent)
    }

    /// Installs the filter that decides the destinations of each message
    /// (`knet_handle_enable_filter`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn set_filter(
        &self,
        filter: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Result<(), CallError> {
        let raw = self.raw();
        let mut kept = self.inner.filter.lock().unwrap_or_else(PoisonError::into_inner);
        let filter = Box::new(Filter(Box::new(filter)));
        let data = (&raw const *filter).cast_mut().cast::<c_void>();
        let callback: Option<super::symbols::Filter> = Some(callbacks::filter);
        // SAFETY: the handle is valid, and the filter, which is what the function expects, is dropped
        // after another one took its place or the handle was freed.
        let set =
            unsafe { (raw.symbols().knet_handle_enable_filter)(raw.pointer(), data, callback) };
        check("knet_handle_enable_filter", set)?;
        // The previous filter is no longer running: the call waited for that.
        *kept = Some(filter);
        Ok(())
    }

    /// Switches forwarding. Switching it off takes 0.6 s, in which written messages are sent
    /// (`knet_handle_setfwd`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_forwarding(&self, on: bool) -> Result<(), CallError> {
        self.raw().set_forwarding(on.into())
    }

    /// Switches the access lists on or off.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_access_lists(&self, on: bool) -> Result<(), CallError> {
        self.raw().set_access_lists(on.into())
    }

    /// Sets the interval at which each path is probed, in whole seconds
    /// (`knet_handle_pmtud_setfreq`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_mtu_interval(&self, interval: Duration) -> Result<(), CallError> {
        self.raw().set_pmtud_interval(c_uint::try_from(interval.as_secs()).unwrap_or(c_uint::MAX))
    }

    /// Sets the length of packets with all of their headers, instead of probing
    /// (`knet_handle_pmtud_set`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_manual_mtu(&self, onwire: Option<u16>) -> Result<(), CallError> {
        self.raw().set_manual_mtu(onwire.unwrap_or(0).into())
    }

    /// Returns how many bytes of a message fit into a packet (`knet_handle_pmtud_get`).
    ///
    /// # Errors
    /// [`CallError`].
    #[allow(unsafe_code)]
    pub fn data_mtu(&self) -> Result<usize, CallError> {
        let raw = self.raw();
        let mut mtu: c_uint = 0;
        // SAFETY: the handle is valid, and the out-pointer is to a live local.
        let returned = unsafe { (raw.symbols().knet_handle_pmtud_get)(raw.pointer(), &mut mtu) };
        check("knet_handle_pmtud_get", returned)?;
        Ok(mtu as usize)
    }

    /// Returns how many received messages were lost because a datafd was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.news().lost()
    }

    /// Adds a host (`knet_host_add`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn add_host(&self, host: HostId) -> Result<Host, CallError> {
        self.raw().add_host(host.get())?;
        self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(host.get());
        Ok(Host::new(self.clone(), host))
    }
}

/// The fields are dropped in this order: the handle before what it uses.
#[derive(Debug)]
struct Inner {
    raw: Raw,
    news: Arc<News>,
    filter: Mutex<Option<Box<Filter>>>,
    /// The added hosts, which have to be removed in the end.
    hosts: Mutex<BTreeSet<u16>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let hosts = self.hosts.get_mut().unwrap_or_else(PoisonError::into_inner);
        for &host in hosts.iter() {
            for link in LinkId::ALL.map(LinkId::get) {
                // This fails for links that are not configured.
                let _ = self.raw.enable_link(host, link, 0);
                let _ = self.raw.clear_link(host, link);
            }
            let _ = self.raw.remove_host(host);
        }
    }
}
