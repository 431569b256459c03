//! The links whose zones have names, and the thread that follows them, which runs only if there was one.

use knet_engine::SocketId;
use knet_poller::Waker;
use knet_wire::{HostId, LinkId};
use parking_lot::Mutex;

use crate::core::thread::Thread;
use crate::error::Error;
use crate::link_zones::LinkZones;
use crate::log::{Causes, Log, log};

/// A link that has to follow its interfaces, from the time it is added until it is cleared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZonedLink {
    /// No other link of the handle has or had this number, not even one of the same host and id.
    pub(crate) number: u64,
    pub(crate) host: HostId,
    pub(crate) link: LinkId,
    pub(crate) socket: SocketId,
    pub(crate) zones: LinkZones,
}

/// All such links of a handle.
#[derive(Debug)]
pub(crate) struct ZonedLinks {
    log: Log,
    /// Locked with the engine locked, so that the two agree about which links there are.
    links: Mutex<Links>,
    thread: Mutex<Option<ZoneThread>>,
}

#[derive(Debug, Default)]
struct Links {
    present: Vec<ZonedLink>,
    /// How many were added.
    added: u64,
}

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct ZoneThread {
    pub(crate) waker: Waker,
    pub(crate) thread: Thread,
}

impl ZonedLinks {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, links: Mutex::default(), thread: Mutex::default() }
    }

    /// Starts the thread with `start`, unless it runs.
    pub(crate) fn start(
        &self,
        start: impl FnOnce() -> Result<ZoneThread, Error>,
    ) -> Result<(), Error> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            *thread = Some(start()?);
        }
        Ok(())
    }

    /// Adds a link that was added to the engine, which is still locked. [`ZonedLinks::wake`] must follow.
    pub(crate) fn add(&self, host: HostId, link: LinkId, socket: SocketId, zones: LinkZones) {
        let mut links = self.links.lock();
        let number = links.added;
        links.added += 1;
        links.present.push(ZonedLink { number, host, link, socket, zones });
    }

    /// Removes a link that was removed from the engine, which is still locked.
    pub(crate) fn remove(&self, host: HostId, link: LinkId) {
        self.links.lock().present.retain(|zoned| (zoned.host, zoned.link) != (host, link));
    }

    /// Returns `true` if a link was not removed. It is not while the engine is locked.
    pub(crate) fn has(&self, link: &ZonedLink) -> bool {
        self.links.lock().present.iter().any(|present| present.number == link.number)
    }

    /// Returns the zones of a link.
    pub(crate) fn of(&self, host: HostId, link: LinkId) -> LinkZones {
        let links = self.links.lock();
        let found = links.present.iter().find(|zoned| (zoned.host, zoned.link) == (host, link));
        found.map(|zoned| zoned.zones).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> Vec<ZonedLink> {
        self.links.lock().present.clone()
    }

    /// Wakes the thread: the interface of a link that was added may have changed since it was looked up.
    pub(crate) fn wake(&self) {
        if let Some(ZoneThread { waker, .. }) = &*self.thread.lock() {
            if let Err(error) = waker.wake() {
                log!(error, self.log, Link, error = %Causes(&error), "the thread that follows zones cannot be woken");
            }
        }
    }

    /// Takes the thread to wait for its end, with `true` if it was woken. The handle is stopping.
    pub(crate) fn take_thread(&self) -> Option<(Thread, bool)> {
        let ZoneThread { thread, waker } = self.thread.lock().take()?;
        Some((thread, waker.wake_again().is_ok()))
    }
}
