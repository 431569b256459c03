//! The bare handle of libknet, with the calls that take only numbers.

use std::ffi::{c_int, c_uint, c_void};

use libc::time_t;

use super::error::CallError;
use super::library::Library;
use super::symbols::{RawHandle, Symbols};

/// A handle that is valid until this is dropped. All hosts must be removed before.
#[derive(Debug)]
pub(super) struct Raw {
    library: &'static Library,
    /// The pointer as a number, so that this is `Send` and `Sync`: only libknet dereferences it.
    handle: usize,
}

impl Raw {
    /// Creates a handle without a log and without privileged operations (`knet_handle_new_ex`).
    #[allow(unsafe_code)]
    pub(super) fn new(library: &'static Library, host: u16) -> Result<Self, CallError> {
        // SAFETY: the call takes only numbers.
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

/// Converts what a call returned to a result.
pub(super) fn check(call: &'static str, returned: c_int) -> Result<(), CallError> {
    if returned == 0 { Ok(()) } else { Err(CallError::last(call)) }
}

macro_rules! calls {
    ($($name:ident = $function:ident($($argument:ident: $type:ty),*);)*) => {
        impl Raw {
            $(
                #[allow(unsafe_code)]
                pub(super) fn $name(&self, $($argument: $type),*) -> Result<(), CallError> {
                    // SAFETY: the handle is valid. All other arguments are numbers, which libknet
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
        // SAFETY: the handle is no longer used. If the call fails, the handle is leaked.
        let _ = unsafe { (self.symbols().knet_handle_free)(self.pointer()) };
    }
}
