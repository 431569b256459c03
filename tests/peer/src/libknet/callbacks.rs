//! The callbacks from libknet: notifications of hosts and datafds, and the filter.

use std::collections::BTreeSet;
use std::ffi::{c_int, c_uchar, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kronosnet::{Channel, Direction, HostId, Verdict};
use libc::{size_t, ssize_t};

/// The state reported by notifications.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    reachable: Mutex<BTreeSet<u16>>,
    changed: Condvar,
    lost: AtomicU64,
}

impl Notifications {
    /// Returns `true` if a host was last reported as reachable.
    pub(super) fn is_reachable(&self, host: u16) -> bool {
        lock(&self.reachable).contains(&host)
    }

    /// Waits until a host is reachable, or is not. Returns `false` if `timeout` expires before.
    pub(super) fn wait(&self, host: u16, reachable: bool, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut hosts = lock(&self.reachable);
        while hosts.contains(&host) != reachable {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(hosts, left);
            hosts = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Returns how many received messages did not fit into a datafd.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn set_reachable(&self, host: u16, reachable: bool) {
        let mut hosts = lock(&self.reachable);
        if reachable {
            hosts.insert(host);
        } else {
            hosts.remove(&host);
        }
        self.changed.notify_all();
    }
}

/// Ignores poisoning: a panic leaves no inconsistent state here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Implements `host_status_change_notify_fn`. The data is a [`Notifications`] that outlives the handle.
#[allow(unsafe_code)]
pub(super) unsafe extern "C" fn host_changed(
    data: *mut c_void,
    host: u16,
    reachable: u8,
    _remote: u8,
    _external: u8,
) {
    // SAFETY: this function was registered together with this data, which outlives the handle.
    let notifications = unsafe { &*data.cast::<Notifications>() };
    notifications.set_reachable(host, reachable != 0);
}

/// Implements `sock_notify_fn`. The data is a [`Notifications`] that outlives the handle.
#[allow(unsafe_code)]
pub(super) unsafe extern "C" fn datafd_changed(
    data: *mut c_void,
    _datafd: c_int,
    _channel: i8,
    direction: u8,
    _error: c_int,
    _errno: c_int,
) {
    // SAFETY: this function was registered together with this data, which outlives the handle.
    let notifications = unsafe { &*data.cast::<Notifications>() };
    if direction == RX {
        notifications.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// A message that a filter decides about.
#[derive(Debug)]
pub struct FilterMessage<'a> {
    payload: &'a [u8],
    direction: Direction,
    source: HostId,
    channel: &'a mut i8,
    destinations: &'a mut [MaybeUninit<u16>],
    count: usize,
}

impl FilterMessage<'_> {
    /// Returns the bytes of the message.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload
    }

    /// Returns whether the message is sent or received.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the sender.
    #[must_use]
    pub fn source(&self) -> HostId {
        self.source
    }

    /// Returns the number of its channel.
    #[must_use]
    pub fn channel(&self) -> i8 {
        *self.channel
    }

    /// Moves the message to another channel.
    pub fn set_channel(&mut self, channel: Channel) {
        *self.channel = channel.into();
    }

    /// Adds a destination for [`Verdict::Destinations`]. There is room for all possible hosts.
    pub fn add_destination(&mut self, host: HostId) {
        if let Some(place) = self.destinations.get_mut(self.count) {
            place.write(host.get());
            self.count += 1;
        }
    }
}

/// The filter of a handle.
pub(super) struct Filter(pub(super) Box<dyn Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync>);

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

/// Implements `dst_host_filter_fn`. The data is a [`Filter`] that outlives its registration.
#[allow(unsafe_code)]
pub(super) unsafe extern "C" fn filter(
    data: *mut c_void,
    payload: *const c_uchar,
    length: ssize_t,
    direction: u8,
    _own: u16,
    source: u16,
    channel: *mut i8,
    hosts: *mut u16,
    count: *mut size_t,
) -> c_int {
    // SAFETY: this function was registered together with this data, which is dropped only after the
    // filter was replaced, which waits for running calls, or after the handle was freed.
    let filter = unsafe { &*data.cast::<Filter>() };
    let length = usize::try_from(length).unwrap_or(0);
    // SAFETY: libknet passes the message with its length, and does not change it during the call.
    let payload = unsafe { std::slice::from_raw_parts(payload, length) };
    // SAFETY: the array has room for all host ids, and libknet does not use it during the call.
    let destinations = unsafe { std::slice::from_raw_parts_mut(hosts.cast(), MAX_HOSTS) };
    // SAFETY: this points to a variable of libknet, which does not use it during the call.
    let channel = unsafe { &mut *channel };
    let direction = if direction == RX { Direction::Rx } else { Direction::Tx };
    let source = HostId::new(source);
    let mut message = FilterMessage { payload, direction, source, channel, destinations, count: 0 };
    let verdict = (filter.0)(&mut message);
    // SAFETY: this points to a variable of libknet, which does not use it during the call.
    unsafe { *count = message.count };
    match verdict {
        Verdict::Broadcast => 1,
        Verdict::Destinations => 0,
        Verdict::Reject => -1,
    }
}

/// `KNET_NOTIFY_RX`.
const RX: u8 = 1;
/// `KNET_MAX_HOST`, the length of the array for destinations.
const MAX_HOSTS: usize = 65536;
