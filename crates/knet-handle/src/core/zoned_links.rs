//! The links whose zones have names, and the thread that follows them, which runs only if there was one.

use std::thread::JoinHandle;

use knet_engine::SocketId;
use knet_poller::Waker;
use knet_wire::{HostId, LinkId};
use parking_lot::Mutex;

use crate::error::Error;
use crate::link_zones::LinkZones;
use crate::log::{Causes, Log, log};

/// A link that has to follow its interfaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZonedLink {
    pub(crate) host: HostId,
    pub(crate) link: LinkId,
    pub(crate) socket: SocketId,
    pub(crate) zones: LinkZones,
}

/// All such links of a handle.
#[derive(Debug)]
pub(crate) struct ZonedLinks {
    log: Log,
    links: Mutex<Vec<ZonedLink>>,
    thread: Mutex<Option<ZoneThread>>,
}

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct ZoneThread {
    pub(crate) waker: Waker,
    pub(crate) thread: JoinHandle<()>,
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

    /// Adds a link, and wakes the thread: the interface may have changed since it was looked up.
    pub(crate) fn add(&self, link: ZonedLink) {
        self.links.lock().push(link);
        self.wake();
    }

    pub(crate) fn remove(&self, host: HostId, link: LinkId) {
        self.links.lock().retain(|zoned| (zoned.host, zoned.link) != (host, link));
    }

    /// Returns the zones of a link.
    pub(crate) fn of(&self, host: HostId, link: LinkId) -> LinkZones {
        let links = self.links.lock();
        let found = links.iter().find(|zoned| (zoned.host, zoned.link) == (host, link));
        found.map(|zoned| zoned.zones).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> Vec<ZonedLink> {
        self.links.lock().clone()
    }

    fn wake(&self) {
        if let Some(ZoneThread { waker, .. }) = &*self.thread.lock() {
            if let Err(error) = waker.wake() {
                log!(error, self.log, Link, error = %Causes(&error), "the thread that follows zones cannot be woken");
            }
        }
    }

    /// Takes the thread to wait for its end, with `true` if it was woken. The handle is stopping.
    pub(crate) fn take_thread(&self) -> Option<(JoinHandle<()>, bool)> {
        let ZoneThread { thread, waker } = self.thread.lock().take()?;
        Some((thread, waker.wake_again().is_ok()))
    }
}
