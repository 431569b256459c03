//! What a handle shares with its hosts, links and datafds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kronosnet::LinkId;

use super::callbacks::{Filter, Notifications};
use super::error::CallError;
use super::raw::Raw;

/// The handle of libknet with the data of its callbacks. Dropping it removes all hosts and links.
///
/// The fields are dropped in this order: the handle before what its callbacks use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) raw: Raw,
    pub(super) notifications: Arc<Notifications>,
    pub(super) filter: Mutex<Option<Box<Filter>>>,
    /// The hosts that have to be removed at the end.
    hosts: Mutex<BTreeSet<u16>>,
}

impl Shared {
    pub(super) fn new(raw: Raw) -> Self {
        let (notifications, filter, hosts) = Default::default();
        Self { raw, notifications, filter, hosts }
    }

    /// Adds a host, and remembers to remove it.
    pub(super) fn add_host(&self, host: u16) -> Result<(), CallError> {
        self.raw.add_host(host)?;
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let hosts = self.hosts.get_mut().unwrap_or_else(PoisonError::into_inner);
        for &host in hosts.iter() {
            for link in LinkId::ALL.map(LinkId::get) {
                // Fails for links that do not exist.
                let _ = self.raw.enable_link(host, link, 0);
                let _ = self.raw.clear_link(host, link);
            }
            let _ = self.raw.remove_host(host);
        }
    }
}
