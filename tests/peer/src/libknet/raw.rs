//! A bare handle of libknet: the calls that take numbers only, and its release.

use std::ffi::{c_int, c_uint, c_void};

use libc::time_t;

use super::error::CallError;
use super::library::Library;
use super::symbols::{RawHandle, Symbols};

/// A handle that is valid until this is dropped. All hosts must be removed earlier.
#[derive(Debug)]
pub(super) struct Raw {
    library: &'static Library,
    /// A number, because only libknet may dereference it, from any thread.
    handle: usize,
}

impl Raw {
    /// Makes a handle (`knet_handle_new_ex`), without a log and without the permission for large
    /// buffers.
    #[allow(unsafe_code)]
    pub(super) fn new(library: &'static Library, host: u16) -> Result<Self, CallError> {
        // SAFETY: it takes numbers only.
        let handle = unsafe { (library.symbols.knet_handle_new_ex)(host, 0, 0, 0) };
        if handle.is_null() {
            return Err(CallError::last("knet_handle_new_ex"));
        }
        Ok(Self { library, handle: handle.expose_provenance() })
    }

    pub(super) fn symbols(&self) -> &'static Symbols {
        &self.library.symbols
    }

    /// Returns the pointer, for calls that take more than numbers.
    pub(super) fn pointer(&self) -> RawHandle {
        std::ptr::with_exposed_provenance_mut::<c_void>(self.handle)
    }
}

/// Converts the return value of a call into a result.
pub(super) fn check(call: &'static str, returned: c_int) -> Result<(), CallError> {
    if returned == 0 { Ok(()) } else { Err(CallError::last(call)) }
}

macro_rules! calls {
    ($($name:ident = $function:ident($($argument:ident: $type:ty),*);)*) => {
        impl Raw {
            $(
                #[allow(unsafe_code)]
                pub(super) fn $name(&self, $($argument: $type),*) -> Result<(), CallError> {
                    // SAFETY: the handle is valid, and all else that it takes are numbers, which it
                    // checks.
                    let returned = unsafe {
                        (self.symbols().$function)(self.pointer(), $($argument),*)
                    };
                    check(stringify!($function), returned)
                }
            )*
        }
    };
}

calls! {
    set_forwarding = knet_handle_setfwd(on: c_uint);
    set_access_lists = knet_handle_enable_access_lists(on: c_uint);
    set_pmtud_interval = knet_handle_pmtud_setfreq(seconds: c_uint);
    set_manual_mtu = knet_handle_pmtud_set(onwire: c_uint);
    remove_datafd = knet_handle_remove_datafd(fd: c_int);
    add_host = knet_host_add(host: u16);
    remove_host = knet_host_remove(host: u16);
    set_policy = knet_host_set_policy(host: u16, policy: u8);
    clear_link = knet_link_clear_config(host: u16, link: u8);
    enable_link = knet_link_set_enable(host: u16, link: u8, on: c_uint);
    set_ping_timers = knet_link_set_ping_timers(
        host: u16, link: u8, interval: time_t, timeout: time_t, precision: c_uint
    );
    set_pong_count = knet_link_set_pong_count(host: u16, link: u8, count: u8);
    set_priority = knet_link_set_priority(host: u16, link: u8, priority: u8);
}

impl Drop for Raw {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: nothing else has the handle. If libknet refuses, it stays allocated.
        let _ = unsafe { (self.symbols().knet_handle_free)(self.pointer()) };
    }
}
