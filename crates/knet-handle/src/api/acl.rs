//! Access lists: which addresses a dynamic link accepts its peer from (`docs/protocol.md`, "Access lists").

use knet_engine::AclEntry;

use crate::api::handle::Handle;
use crate::api::link::Link;
use crate::error::Error;
use crate::log::log;

impl Handle {
    /// Turns the access lists of dynamic links on or off, from the next packet on. On by default. While
    /// they are off, dynamic links accept their peer from any address.
    ///
    /// Links to a given address accept packets from that address only, in either case.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// assert!(handle.access_lists());
    /// handle.set_access_lists(false)?;
    /// assert!(!handle.access_lists());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_access_lists(&self, on: bool) -> Result<(), Error> {
        self.shared().configure(|engine, _| engine.set_access_lists(on))?;
        log!(debug, self.shared().log, Handle, on, "access lists switched");
        Ok(())
    }

    /// Returns `true` if the access lists of dynamic links are on.
    #[must_use]
    pub fn access_lists(&self) -> bool {
        self.shared().query(|engine, _| engine.access_lists())
    }
}

/// # Access list
///
/// The access list of a dynamic link specifies from which IP addresses the link accepts its peer. The first
/// entry that matches the source of a packet decides. If none matches, the packet is discarded, counted
/// and logged; with an empty list, which is the default, that is every packet. A change takes effect with
/// the next packet.
///
/// Other links accept packets from their peer's address only, and have no list.
impl Link {
    /// Adds an entry at the end of the access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotDynamic`, `OtherFamily`, `Listed` or `Link`; [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// use std::net::IpAddr;
    /// use knet_handle::{AclAction, AclEntry};
    ///
    /// # let host = Handle::new(HostId::new(1))?.add_host(HostId::new(2))?;
    /// # let local = ([127, 0, 0, 1], 0).into();
    /// let link = host.add_link(LinkId::new(0)?, LinkConfig::udp_dynamic(local))?;
    /// let (network, mask) = (IpAddr::from([10, 1, 0, 0]), IpAddr::from([255, 255, 0, 0]));
    /// let lan = AclEntry::mask(AclAction::Accept, network, mask)?;
    /// link.add_acl_entry(lan)?;
    ///
    /// // An exception must precede the entry of which it is one.
    /// let guest = AclEntry::address(AclAction::Reject, [10, 1, 0, 66].into());
    /// link.insert_acl_entry(0, guest)?;
    /// assert_eq!(link.acl()?, [guest, lan]);
    ///
    /// link.remove_acl_entry(guest)?;
    /// assert_eq!(link.acl()?, [lan]);
    /// link.clear_acl()?;
    /// assert!(link.acl()?.is_empty());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn add_acl_entry(&self, entry: AclEntry) -> Result<(), Error> {
        self.insert_acl_entry(usize::MAX, entry)
    }

    /// Inserts an entry into the access list at an index, or at the end of a shorter list.
    ///
    /// # Errors
    /// Those of [`Link::add_acl_entry`].
    pub fn insert_acl_entry(&self, index: usize, entry: AclEntry) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, _| engine.insert_acl_entry(host, link, index, entry))??;
        let (host, link) = (host.get(), link.get());
        log!(debug, shared.log, Link, host, link, %entry, "access list entry added");
        Ok(())
    }

    /// Removes an entry from the access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotListed`, `NotDynamic` or `Link`; [`Error::InsideFilter`].
    pub fn remove_acl_entry(&self, entry: AclEntry) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, _| engine.remove_acl_entry(host, link, entry))??;
        let (host, link) = (host.get(), link.get());
        log!(debug, shared.log, Link, host, link, %entry, "access list entry removed");
        Ok(())
    }

    /// Removes all entries from the access list.
    ///
    /// # Errors
    /// [`Error::Acl`] with `NotDynamic` or `Link`; [`Error::InsideFilter`].
    pub fn clear_acl(&self) -> Result<(), Error> {
        let (host, link) = (self.host_id(), self.id());
        let shared = self.handle().shared();
        shared.configure(|engine, _| engine.clear_acl(host, link))??;
        log!(debug, shared.log, Link, host = host.get(), link = link.get(), "access list cleared");
        Ok(())
    }

    /// Returns the access list, in the order in which its entries are matched.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn acl(&self) -> Result<Vec<AclEntry>, Error> {
        let (host, link) = (self.host_id(), self.id());
        let read = |engine: &knet_engine::Engine| engine.acl(host, link).map(<[_]>::to_vec);
        Ok(self.handle().shared().query(|engine, _| read(engine))?)
    }
}
