//! The access lists of links: edits, and the switch for all of them (`spec/engine.md` 17).

use knet_wire::{HostId, LinkId};

use super::Engine;
use crate::error::LinkError;
use crate::link::{AccessList, AclEntry, AclError, LinkKind};

impl Engine {
    /// Turns the access lists of dynamic links on or off. On at first; off, every source is let in.
    /// Static links are bound to their peer's address either way. Takes effect with the next packet.
    pub fn set_access_lists(&mut self, on: bool) {
        self.access_lists = on;
    }

    /// Whether the access lists of dynamic links are on.
    #[must_use]
    pub fn access_lists(&self) -> bool {
        self.access_lists
    }

    /// Puts an entry at the end of a dynamic link's access list.
    ///
    /// # Errors
    /// [`AclError::Link`]; [`AclError::NotDynamic`]; [`AclError::OtherFamily`]; [`AclError::Listed`].
    pub fn add_acl_entry(
        &mut self,
        host: HostId,
        link: LinkId,
        entry: AclEntry,
    ) -> Result<(), AclError> {
        self.insert_acl_entry(host, link, usize::MAX, entry)
    }

    /// Puts an entry into a dynamic link's access list at just this place, counted from 0; at the
    /// end if the list is not so long.
    ///
    /// # Errors
    /// Those of [`Engine::add_acl_entry`].
    pub fn insert_acl_entry(
        &mut self,
        host: HostId,
        link: LinkId,
        index: usize,
        entry: AclEntry,
    ) -> Result<(), AclError> {
        let is_ipv4 = self.link(host, link)?.peer.is_ipv4();
        let list = self.acl_mut(host, link)?;
        if entry.is_ipv4() != is_ipv4 {
            return Err(AclError::OtherFamily(entry));
        }
        list.insert(index, entry)
    }

    /// Takes an entry out of a dynamic link's access list.
    ///
    /// # Errors
    /// [`AclError::Link`]; [`AclError::NotDynamic`]; [`AclError::NotListed`].
    pub fn remove_acl_entry(
        &mut self,
        host: HostId,
        link: LinkId,
        entry: AclEntry,
    ) -> Result<(), AclError> {
        self.acl_mut(host, link)?.remove(entry)
    }

    /// Empties a dynamic link's access list: nobody is let in then.
    ///
    /// # Errors
    /// [`AclError::Link`]; [`AclError::NotDynamic`].
    pub fn clear_acl(&mut self, host: HostId, link: LinkId) -> Result<(), AclError> {
        self.acl_mut(host, link)?.clear();
        Ok(())
    }

    /// A dynamic link's access list, in the order in which it is looked at. That of a static link,
    /// which is bound to its peer's address, is empty.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn acl(&self, host: HostId, link: LinkId) -> Result<&[AclEntry], LinkError> {
        Ok(self.link(host, link)?.acl.entries())
    }

    fn acl_mut(&mut self, host: HostId, link: LinkId) -> Result<&mut AccessList, AclError> {
        let entry = self.link_mut(host, link)?;
        if entry.peer.kind() != LinkKind::Dynamic {
            return Err(AclError::NotDynamic { host, link });
        }
        Ok(&mut entry.acl)
    }
}
