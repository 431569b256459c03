//! Who may speak for a dynamic link: its access list, and the switch for all lists
//! (`docs/protocol.md`, "Access lists").

use knet_engine::AclEntry;

use crate::api::handle::Handle;
use crate::api::link::Link;
use crate::error::Error;

impl Handle {
    /// Turns the access lists of dynamic links on or off. On at first; off, a peer may speak from
    /// anywhere. Takes effect with the next packet. Links to a given address are bound to it either
    /// way.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn set_access_lists(&self, on: bool) -> Result<(), Error> {
        self.shared().configure(|engine, _| engine.set_access_lists(on))
    }

    /// Whether the access lists of dynamic links are on.
    #[must_use]
    pub fn access_lists(&self) -> bool {
        self.shared().query(|engine, _| engine.access_lists())
    }
}

/// The access list of a dynamic link says from which IP addresses its peer may speak. The first entry
/// that matches a packet's source decides; if none does, the packet is thrown away, counted and
/// logged. So with an empty list, as there is at first, the link hears nobody. A change counts from
/// the next packet on.
///
/// A link that is not dynamic is bound to its peer's address and has no list.
impl Link {
    /// Puts an entry at the end of its access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotDynamic`, `OtherFamily`, `Listed` or `Link`;
    /// [`Error::InsideFilter`].
    pub fn add_acl_entry(&self, entry: AclEntry) -> Result<(), Error> {
        self.insert_acl_entry(usize::MAX, entry)
    }

    /// Puts an entry into its access list at just this place, counted from 0; at the end if the list
    /// is not so long.
    ///
    /// # Errors
    /// Those of [`Link::add_acl_entry`].
    pub fn insert_acl_entry(&self, index: usize, entry: AclEntry) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        Ok(shared.configure(|engine, _| engine.insert_acl_entry(host, link, index, entry))??)
    }

    /// Takes an entry out of its access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotListed`, `NotDynamic` or `Link`; [`Error::InsideFilter`].
    pub fn remove_acl_entry(&self, entry: AclEntry) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        Ok(shared.configure(|engine, _| engine.remove_acl_entry(host, link, entry))??)
    }

    /// Empties its access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotDynamic` or `Link`; [`Error::InsideFilter`].
    pub fn clear_acl(&self) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        Ok(self.handle().shared().configure(|engine, _| engine.clear_acl(host, link))??)
    }

    /// Its access list, in the order in which it is looked at.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn acl(&self) -> Result<Vec<AclEntry>, Error> {
        let (host, link) = (self.host_id(), self.id());
        let read = |engine: &knet_engine::Engine| engine.acl(host, link).map(<[_]>::to_vec);
        Ok(self.handle().shared().query(|engine, _| read(engine))?)
    }
}
