//! Access lists: from which IP addresses the peer of a dynamic link may speak.

use std::fmt;
use std::net::IpAddr;

use knet_wire::{HostId, LinkId};

use crate::errno::{EEXIST, EINVAL, ENOENT};
use crate::error::LinkError;

/// What happens to a packet whose source an entry matches.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "libknet's check_acceptreject_t")]
pub enum AclAction {
    /// It is let in.
    Accept,
    /// It is thrown away.
    Reject,
}

/// One entry of an access list: some IP addresses, and what happens to packets from there. Ports do
/// not matter.
///
/// # Examples
///
/// ```
/// use knet_engine::{AclAction, AclEntry};
///
/// let net = AclEntry::mask(AclAction::Accept, "10.1.0.0".parse()?, "255.255.0.0".parse()?)?;
/// assert!(net.matches("10.1.2.3".parse()?));
/// assert!(!net.matches("10.2.2.3".parse()?));
/// assert_eq!(net.to_string(), "accept 10.1.0.0 mask 255.255.0.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AclEntry {
    action: AclAction,
    addresses: Addresses,
}

/// Which addresses an entry is about; the two of a pair are of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Addresses {
    One(IpAddr),
    Mask { network: IpAddr, mask: IpAddr },
    Range { first: IpAddr, last: IpAddr },
}

impl AclEntry {
    /// An entry for one address (`CHECK_TYPE_ADDRESS`).
    #[must_use]
    pub fn address(action: AclAction, address: IpAddr) -> Self {
        Self { action, addresses: Addresses::One(address) }
    }

    /// An entry for the addresses that are `network` under `mask` (`CHECK_TYPE_MASK`).
    ///
    /// # Errors
    /// [`AclEntryError::MixedFamilies`]; [`AclEntryError::OutsideMask`] if `network` has bits that
    /// the mask does not, with which no address would match.
    pub fn mask(action: AclAction, network: IpAddr, mask: IpAddr) -> Result<Self, AclEntryError> {
        same_family(network, mask)?;
        if bits(network) & !bits(mask) != 0 {
            return Err(AclEntryError::OutsideMask { network, mask });
        }
        Ok(Self { action, addresses: Addresses::Mask { network, mask } })
    }

    /// An entry for the addresses from `first` to `last`, both included (`CHECK_TYPE_RANGE`).
    ///
    /// # Errors
    /// [`AclEntryError::MixedFamilies`]; [`AclEntryError::EmptyRange`] if `last` is below `first`.
    pub fn range(action: AclAction, first: IpAddr, last: IpAddr) -> Result<Self, AclEntryError> {
        same_family(first, last)?;
        if last < first {
            return Err(AclEntryError::EmptyRange { first, last });
        }
        Ok(Self { action, addresses: Addresses::Range { first, last } })
    }

    /// What happens to packets from its addresses.
    #[must_use]
    pub fn action(&self) -> AclAction {
        self.action
    }

    /// Whether an address is among its own. One of the other family never is.
    #[must_use]
    pub fn matches(&self, source: IpAddr) -> bool {
        if self.is_ipv4() != source.is_ipv4() {
            return false;
        }
        match self.addresses {
            Addresses::One(address) => source == address,
            Addresses::Mask { network, mask } => bits(source) & bits(mask) == bits(network),
            Addresses::Range { first, last } => (first..=last).contains(&source),
        }
    }

    /// Whether it is about IPv4 addresses, and not IPv6.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        match self.addresses {
            Addresses::One(address)
            | Addresses::Mask { network: address, .. }
            | Addresses::Range { first: address, .. } => address.is_ipv4(),
        }
    }
}

impl fmt::Display for AclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            AclAction::Accept => "accept",
            AclAction::Reject => "reject",
        };
        match self.addresses {
            Addresses::One(address) => write!(f, "{action} {address}"),
            Addresses::Mask { network, mask } => write!(f, "{action} {network} mask {mask}"),
            Addresses::Range { first, last } => write!(f, "{action} {first} to {last}"),
        }
    }
}

fn same_family(one: IpAddr, two: IpAddr) -> Result<(), AclEntryError> {
    if one.is_ipv4() == two.is_ipv4() {
        Ok(())
    } else {
        Err(AclEntryError::MixedFamilies { one, two })
    }
}

/// The address as a number, for comparing with others of its family.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The entries of a link, in the order in which they are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessList {
    entries: Vec<AclEntry>,
}

impl AccessList {
    /// Whether a packet from there is let in: by the first entry that matches, and not if none does
    /// (`spec/engine.md` 17).
    pub(crate) fn accepts(&self, source: IpAddr) -> bool {
        let first = self.entries.iter().find(|entry| entry.matches(source));
        first.is_some_and(|entry| entry.action == AclAction::Accept)
    }

    /// Puts an entry before the one at `index`, or at the end if there is none.
    pub(crate) fn insert(&mut self, index: usize, entry: AclEntry) -> Result<(), AclError> {
        if self.entries.contains(&entry) {
            return Err(AclError::Listed(entry));
        }
        self.entries.insert(index.min(self.entries.len()), entry);
        Ok(())
    }

    pub(crate) fn remove(&mut self, entry: AclEntry) -> Result<(), AclError> {
        let at = self.entries.iter().position(|listed| *listed == entry);
        self.entries.remove(at.ok_or(AclError::NotListed(entry))?);
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn entries(&self) -> &[AclEntry] {
        &self.entries
    }
}

/// Why an entry of an access list cannot be: it would match nothing (`spec/api.md` 11.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AclEntryError {
    /// One of its addresses is IPv4, the other IPv6.
    #[error("{one} and {two} are of different address families")]
    MixedFamilies {
        /// The first address.
        one: IpAddr,
        /// The second.
        two: IpAddr,
    },
    /// The network has bits that the mask does not have.
    #[error("network {network} has bits outside mask {mask}: clear them")]
    OutsideMask {
        /// The network.
        network: IpAddr,
        /// The mask.
        mask: IpAddr,
    },
    /// The range ends before it begins.
    #[error("the range from {first} to {last} is empty: swap them")]
    EmptyRange {
        /// Its first address.
        first: IpAddr,
        /// Its last.
        last: IpAddr,
    },
}

impl AclEntryError {
    /// `EINVAL`. libknet accepts the last two, which then match nothing.
    #[must_use]
    pub fn errno(&self) -> i32 {
        EINVAL
    }
}

/// Why an edit of an access list was refused (`spec/api.md` 11.4).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// There is no such link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link is bound to the address that it was given for its peer.
    #[error("link {link} of host {host} is not dynamic: it is bound to its peer's address")]
    NotDynamic {
        /// The host.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// The link uses the other address family, so that the entry would match nothing.
    #[error("\"{0}\" is of the other address family than the link")]
    OtherFamily(AclEntry),
    /// The list has that entry.
    #[error("\"{0}\" is listed already")]
    Listed(AclEntry),
    /// The list does not have that entry.
    #[error("\"{0}\" is not listed")]
    NotListed(AclEntry),
}

impl AclError {
    /// The value that libknet would have left in `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Link(error) => error.errno(),
            Self::NotDynamic { .. } | Self::OtherFamily(_) => EINVAL,
            Self::Listed(_) => EEXIST,
            Self::NotListed(_) => ENOENT,
        }
    }
}

#[cfg(test)]
mod tests;
