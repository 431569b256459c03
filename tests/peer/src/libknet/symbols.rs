//! The C functions of libknet that are used here.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

use libc::{size_t, sockaddr_storage, ssize_t, time_t};

use super::structs::LinkStatus;

/// `knet_handle_t`.
pub(super) type RawHandle = *mut c_void;
/// The callback of `knet_handle_enable_sock_notify`.
pub(super) type SockNotify = unsafe extern "C" fn(*mut c_void, c_int, i8, u8, c_int, c_int);
/// The callback of `knet_handle_enable_filter`.
pub(super) type Filter = unsafe extern "C" fn(
    *mut c_void,
    *const c_uchar,
    ssize_t,
    u8,
    u16,
    u16,
    *mut i8,
    *mut u16,
    *mut size_t,
) -> c_int;
/// The callback of `knet_host_enable_status_change_notify`.
pub(super) type HostNotify = unsafe extern "C" fn(*mut c_void, u16, u8, u8, u8);

macro_rules! symbols {
    ($(fn $name:ident($($type:ty),*) -> $result:ty;)*) => {
        /// The address of each function. The library is never closed, so they stay valid.
        #[derive(Debug)]
        pub(super) struct Symbols {
            $(pub(super) $name: unsafe extern "C" fn($($type),*) -> $result,)*
        }

        impl Symbols {
            /// Looks up all functions.
            #[allow(unsafe_code)]
            pub(super) fn find(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the types are those of libknet's manual pages, which are the same in all
                    // releases of 1.x.
                    $($name: *unsafe { library.get(stringify!($name).as_bytes()) }?,)*
                })
            }
        }
    };
}

symbols! {
    fn knet_handle_new_ex(u16, c_int, u8, u64) -> RawHandle;
    fn knet_handle_free(RawHandle) -> c_int;
    fn knet_handle_enable_sock_notify(RawHandle, *mut c_void, SockNotify) -> c_int;
    fn knet_handle_add_datafd(RawHandle, *mut c_int, *mut i8) -> c_int;
    fn knet_handle_remove_datafd(RawHandle, c_int) -> c_int;
    fn knet_recv(RawHandle, *mut c_char, size_t, i8) -> ssize_t;
    fn knet_send(RawHandle, *const c_char, size_t, i8) -> ssize_t;
    fn knet_send_sync(RawHandle, *const c_char, size_t, i8) -> c_int;
    fn knet_handle_enable_filter(RawHandle, *mut c_void, Option<Filter>) -> c_int;
    fn knet_handle_setfwd(RawHandle, c_uint) -> c_int;
    fn knet_handle_enable_access_lists(RawHandle, c_uint) -> c_int;
    fn knet_handle_pmtud_setfreq(RawHandle, c_uint) -> c_int;
    fn knet_handle_pmtud_set(RawHandle, c_uint) -> c_int;
    fn knet_handle_pmtud_get(RawHandle, *mut c_uint) -> c_int;
    fn knet_host_add(RawHandle, u16) -> c_int;
    fn knet_host_remove(RawHandle, u16) -> c_int;
    fn knet_host_set_policy(RawHandle, u16, u8) -> c_int;
    fn knet_host_enable_status_change_notify(RawHandle, *mut c_void, Option<HostNotify>) -> c_int;
    fn knet_link_set_config(
        RawHandle, u16, u8, u8, *mut sockaddr_storage, *mut sockaddr_storage, u64
    ) -> c_int;
    fn knet_link_clear_config(RawHandle, u16, u8) -> c_int;
    fn knet_link_set_enable(RawHandle, u16, u8, c_uint) -> c_int;
    fn knet_link_set_ping_timers(RawHandle, u16, u8, time_t, time_t, c_uint) -> c_int;
    fn knet_link_set_pong_count(RawHandle, u16, u8, u8) -> c_int;
    fn knet_link_set_priority(RawHandle, u16, u8, u8) -> c_int;
    fn knet_link_add_acl(
        RawHandle, u16, u8, *mut sockaddr_storage, *mut sockaddr_storage, c_uint, c_uint
    ) -> c_int;
    fn knet_link_get_status(RawHandle, u16, u8, *mut LinkStatus, size_t) -> c_int;
}
