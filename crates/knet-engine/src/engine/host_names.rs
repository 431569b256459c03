//! The names that were given to hosts. A look at all hosts would make naming them quadratic.

use std::collections::BTreeMap;

use knet_wire::HostId;

/// The host of each given name. A host without one is found by its id.
#[derive(Debug, Default)]
pub(super) struct HostNames(BTreeMap<String, HostId>);

impl HostNames {
    /// Returns the host that was given this name.
    pub(super) fn get(&self, name: &str) -> Option<HostId> {
        self.0.get(name).copied()
    }

    /// Replaces the given name of a host.
    pub(super) fn replace(&mut self, host: HostId, old: Option<&str>, new: Option<&str>) {
        if let Some(old) = old {
            self.0.remove(old);
        }
        if let Some(new) = new {
            self.0.insert(new.to_owned(), host);
        }
    }
}
