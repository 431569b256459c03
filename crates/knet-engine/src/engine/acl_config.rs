//! Changes of the access lists of links, and the switch for all of them.

use knet_wire::{HostId, LinkId};

use super::Engine;
use crate::error::LinkError;
use crate::link::{AccessList, AclEntry, AclError, LinkKind};

impl Engine {
    /// Turns the access lists of dynamic links on or off. Default on. While they are off, packets
    /// from every source are accepted. Static links accept only their peer's address either way.
    /// Takes effect with the next packet.
    pub fn set_access_lists(&mut self, on: bool) {
        self.access_lists = on;
    }

    /// Returns `true` if the access lists of dynamic links are on.
    #[must_use]
    pub fn access_lists(&self) -> bool {
        self.access_lists
    }

    /// Adds an entry at the end of a dynamic link's access list.
    ///
    /// # Errors
    /// [`AclError::Link`]; [`AclError::NotDynamic`]; [`AclError::OtherFamily`];
    /// [`AclError::Listed`].
    pub fn add_acl_entry(
        &mut self,
        host: HostId,
        link: LinkId,
        entry: AclEntry,
    ) -> Result<(), AclError> {
        self.insert_acl_entry(host, link, usize::MAX, entry)
    }

    /// Inserts an entry into a dynamic link's access list at this index, or at the end if the list
    /// is shorter.
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

    /// Removes an entry from a dynamic link's access list.
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

    /// Removes all entries from a dynamic link's access list, which then accepts no source.
    ///
    /// # Errors
    /// [`AclError::Link`]; [`AclError::NotDynamic`].
    pub fn clear_acl(&mut self, host: HostId, link: LinkId) -> Result<(), AclError> {
        self.acl_mut(host, link)?.clear();
        Ok(())
    }

    /// Returns a dynamic link's access list in the order of evaluation. The list of a static link,
    /// which accepts only its peer's address, is empty.
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
