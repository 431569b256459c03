//! Control packets that found no room in their socket, on their way to the thread that retries them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use knet_engine::Transmit;
use parking_lot::Mutex;

use crate::io::backpressure::{CONTROL_TIMEOUT, NoRoom, RetryAt};

/// A control packet that is blocked.
#[derive(Debug)]
pub(crate) struct BlockedControl {
    pub(crate) transmit: Transmit,
    pub(crate) retry_at: RetryAt,
    /// When it is dropped if there is still no room.
    pub(crate) expires: Instant,
}

impl BlockedControl {
    /// Blocks a packet that found no room for the first time.
    pub(crate) fn new(transmit: Transmit, no_room: NoRoom, now: Instant) -> Self {
        Self { transmit, retry_at: RetryAt::after(no_room, now), expires: now + CONTROL_TIMEOUT }
    }

    /// Blocks a packet that found no room again.
    pub(crate) fn again(
        transmit: Transmit,
        no_room: NoRoom,
        now: Instant,
        expires: Instant,
    ) -> Self {
        Self { transmit, retry_at: RetryAt::after(no_room, now), expires }
    }
}

/// Where all threads put blocked control packets. Checking it while it is empty costs one
/// atomic load.
#[derive(Debug, Default)]
pub(crate) struct ControlQueue {
    any: AtomicBool,
    packets: Mutex<Vec<BlockedControl>>,
}

impl ControlQueue {
    pub(crate) fn push(&self, packet: BlockedControl) {
        let mut packets = self.packets.lock();
        packets.push(packet);
        self.any.store(true, Ordering::Release);
    }

    /// Moves all of them to the end of `into`.
    pub(crate) fn take(&self, into: &mut Vec<BlockedControl>) {
        if self.any.load(Ordering::Acquire) {
            let mut packets = self.packets.lock();
            self.any.store(false, Ordering::Release);
            into.append(&mut packets);
        }
    }
}
