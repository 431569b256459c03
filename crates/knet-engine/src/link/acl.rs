//! Access lists: from which IP addresses the peer of a dynamic link may send.

use std::fmt;
use std::net::IpAddr;

use knet_wire::{HostId, LinkId};

use crate::errno::{EEXIST, EINVAL, ENOENT};
use crate::error::LinkError;

/// What happens to a packet whose source address an entry matches.
///
/// # Examples
///
/// ```
/// use knet_engine::{AclAction, AclEntry};
///
/// let reject = AclEntry::address(AclAction::Reject, "10.0.0.9".parse()?);
/// assert_eq!(reject.action(), AclAction::Reject);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "libknet's check_acceptreject_t")]
pub enum AclAction {
    /// It is accepted.
    Accept,
    /// It is rejected.
    Reject,
}

/// An entry of an access list: a set of IP addresses, and what happens to packets from there. Ports
/// are ignored.
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

/// The addresses that an entry matches. The two of a pair are of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Addresses {
    One(IpAddr),
    Mask { network: IpAddr, mask: IpAddr },
    Range { first: IpAddr, last: IpAddr },
}

impl AclEntry {
    /// Creates an entry for one address (`CHECK_TYPE_ADDRESS`).
    #[must_use]
    pub fn address(action: AclAction, address: IpAddr) -> Self {
        Self { action, addresses: Addresses::One(address) }
    }

    /// Creates an entry for the addresses that equal `network` under `mask` (`CHECK_TYPE_MASK`).
    ///
    /// # Errors
    /// [`AclEntryError::MixedFamilies`]; [`AclEntryError::OutsideMask`] if `network` has bits
    /// outside `mask`, so that no address would match.
    pub fn mask(action: AclAction, network: IpAddr, mask: IpAddr) -> Result<Self, AclEntryError> {
        same_family(network, mask)?;
        if bits(network) & !bits(mask) != 0 {
            return Err(AclEntryError::OutsideMask { network, mask });
        }
        Ok(Self { action, addresses: Addresses::Mask { network, mask } })
    }

    /// Creates an entry for the addresses from `first` to `last`, both included
    /// (`CHECK_TYPE_RANGE`).
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

    /// Returns what happens to packets from its addresses.
    #[must_use]
    pub fn action(&self) -> AclAction {
        self.action
    }

    /// Returns `true` if it matches this address. It never matches one of the other family.
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

    /// Returns `true` if it matches IPv4 addresses, `false` if it matches IPv6 addresses.
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

/// Returns the address as a number, to compare it with others of its family.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The entries of a link, in the order of evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessList {
    entries: Vec<AclEntry>,
}

impl AccessList {
    /// Returns `true` if packets from this address are accepted. The first entry that matches
    /// decides; without one they are rejected.
    pub(crate) fn accepts(&self, source: IpAddr) -> bool {
        let first = self.entries.iter().find(|entry| entry.matches(source));
        first.is_some_and(|entry| entry.action == AclAction::Accept)
    }

    /// Inserts an entry at `index`, or at the end if the list is shorter.
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

/// An access list entry that would match no address.
///
/// # Examples
///
/// ```
/// use knet_engine::{AclAction, AclEntry, AclEntryError};
///
/// let (first, last) = ("10.0.0.9".parse()?, "10.0.0.1".parse()?);
/// let error = AclEntry::range(AclAction::Accept, first, last).unwrap_err();
/// assert_eq!(error, AclEntryError::EmptyRange { first, last });
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AclEntryError {
    /// One address is IPv4, the other IPv6.
    #[error("{one} and {two} are of different address families: use two of one")]
    MixedFamilies {
        /// The first address.
        one: IpAddr,
        /// The second.
        two: IpAddr,
    },
    /// The network has bits outside the mask.
    #[error("network {network} has bits outside mask {mask}: clear them")]
    OutsideMask {
        /// The network.
        network: IpAddr,
        /// The mask.
        mask: IpAddr,
    },
    /// The range ends before it starts.
    #[error("the range from {first} to {last} is empty: swap them")]
    EmptyRange {
        /// Its first address.
        first: IpAddr,
        /// Its last.
        last: IpAddr,
    },
}

impl AclEntryError {
    /// Returns `EINVAL`. libknet accepts the last two kinds, which then match nothing.
    #[must_use]
    pub fn errno(&self) -> i32 {
        EINVAL
    }
}

/// Why a change of an access list failed.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// # engine.add_link(now, peer, link, LinkPeer::dynamic(SocketId(0), knet_wire::IpVersion::V4))?;
/// use knet_engine::{AclAction, AclEntry, AclError};
///
/// let entry = AclEntry::address(AclAction::Accept, "10.0.0.2".parse()?);
/// engine.add_acl_entry(peer, link, entry)?;
/// assert_eq!(engine.acl(peer, link)?, [entry]);
/// assert_eq!(engine.add_acl_entry(peer, link, entry), Err(AclError::Listed(entry)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// There is no such link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link is static: it accepts only its peer's address.
    #[error("link {link} of host {host} is not dynamic: it is bound to its peer's address")]
    NotDynamic {
        /// The host.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// The link uses the other address family, so the entry would match nothing.
    #[error("\"{0}\" is of the other address family than the link: use the link's")]
    OtherFamily(AclEntry),
    /// The entry is in the list already.
    #[error("\"{0}\" is listed already: remove it first to move it")]
    Listed(AclEntry),
    /// The entry is not in the list.
    #[error("\"{0}\" is not listed: remove an entry of the list")]
    NotListed(AclEntry),
}

impl AclError {
    /// Returns the `errno` value of libknet for this error.
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
