//! Zones of link-local IPv6 addresses, by the name of their interface (RFC 4007).

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

/// The name of a network interface, such as `eth0`: 1 to 15 bytes.
///
/// # Examples
///
/// ```
/// use knet_transport::InterfaceName;
///
/// let name: InterfaceName = "lo".parse()?;
/// assert_eq!(name.to_string(), "lo");
/// assert!(name.index().is_ok_and(|index| index > 0));
/// # Ok::<(), knet_transport::ZoneError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct InterfaceName {
    /// The name, and zeros.
    bytes: [u8; Self::MAX_LEN],
}

impl InterfaceName {
    /// The length of the longest name in bytes (`IFNAMSIZ` without the terminating zero).
    pub const MAX_LEN: usize = libc::IFNAMSIZ - 1;

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        // The bytes come from a `str`, cut at none of its characters.
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// Returns the index that the interface has now, in the network namespace of the calling thread. An
    /// interface that is made again has another one.
    ///
    /// # Errors
    ///
    /// [`ZoneError::UnknownInterface`] if there is no such interface; [`ZoneError::Os`] if the kernel refuses
    /// to look it up.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_transport::{InterfaceName, ZoneError};
    ///
    /// let name: InterfaceName = "no-such".parse()?;
    /// assert!(matches!(name.index(), Err(ZoneError::UnknownInterface(_))));
    /// # Ok::<(), ZoneError>(())
    /// ```
    pub fn index(&self) -> Result<u32, ZoneError> {
        if_nametoindex(self.as_str()).map_err(|errno| match errno {
            Errno::ENODEV => ZoneError::UnknownInterface(*self),
            _ => ZoneError::Os { name: *self, errno: errno as i32 },
        })
    }
}

impl FromStr for InterfaceName {
    type Err = ZoneError;

    /// Returns the name if an interface could have it.
    ///
    /// # Errors
    ///
    /// [`ZoneError::Name`] if it is empty, too long, or has a character that no interface's name has.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let is_valid = |c: char| !c.is_whitespace() && !c.is_control() && !"/:%]".contains(c);
        let fits = (1..=Self::MAX_LEN).contains(&name.len()) && name != "." && name != "..";
        if !fits || !name.chars().all(is_valid) {
            return Err(ZoneError::Name(name.to_owned()));
        }
        let mut bytes = [0; Self::MAX_LEN];
        for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Ok(Self { bytes })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The address of a socket. The zone of a link-local IPv6 address may be the name of an interface, as in
/// `[fe80::1%eth0]:5405`.
///
/// [`SocketAddr`] has the number of the interface instead, which changes when the interface is made again.
///
/// # Examples
///
/// ```
/// use knet_transport::ZonedAddr;
///
/// let address: ZonedAddr = "[fe80::1%lo]:5405".parse()?;
/// assert_eq!(address.to_string(), "[fe80::1%lo]:5405");
/// assert_eq!(address.zone().map(|zone| zone.to_string()), Some("lo".to_owned()));
/// assert_eq!(address.resolve()?, format!("[fe80::1%{}]:5405", address.zone().unwrap().index()?).parse()?);
///
/// let plain: ZonedAddr = "10.0.0.1:5405".parse()?;
/// assert_eq!((plain.zone(), plain.resolve()?), (None, "10.0.0.1:5405".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ZonedAddr {
    /// With scope 0 if `zone` is given.
    address: SocketAddr,
    zone: Option<InterfaceName>,
}

impl ZonedAddr {
    /// Returns the name of its zone, or `None` if it has none or a number.
    #[must_use]
    pub fn zone(&self) -> Option<InterfaceName> {
        self.zone
    }

    /// Returns the address without the name of its zone.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_transport::ZonedAddr;
    ///
    /// let address: ZonedAddr = "[fe80::1%eth0]:5405".parse()?;
    /// assert_eq!(address.without_zone(), "[fe80::1]:5405".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn without_zone(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address with the number that its zone has now.
    ///
    /// # Errors
    ///
    /// Those of [`InterfaceName::index`].
    pub fn resolve(&self) -> Result<SocketAddr, ZoneError> {
        let mut address = self.address;
        if let (SocketAddr::V6(v6), Some(zone)) = (&mut address, self.zone) {
            v6.set_scope_id(zone.index()?);
        }
        Ok(address)
    }
}

impl From<SocketAddr> for ZonedAddr {
    fn from(address: SocketAddr) -> Self {
        Self { address, zone: None }
    }
}

impl FromStr for ZonedAddr {
    type Err = ZoneError;

    /// Parses an address. Does not look up its zone.
    ///
    /// # Errors
    ///
    /// - [`ZoneError::Address`] if it is not an address with a port.
    /// - [`ZoneError::Name`] if no interface can have the name.
    /// - [`ZoneError::NotLinkLocal`] if it has the name of a zone and belongs to none.
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let not_an_address = || ZoneError::Address(text.to_owned());
        let inner = text.strip_prefix('[').and_then(|text| text.split_once("]:"));
        let (ip, port) = inner.ok_or_else(not_an_address)?;
        let (ip, zone) = ip.split_once('%').ok_or_else(not_an_address)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| not_an_address())?;
        let without_zone = format!("[{ip}]:{port}");
        let address: SocketAddrV6 = without_zone.parse().map_err(|_| not_an_address())?;
        let zone: InterfaceName = zone.parse()?;
        if !ip.is_unicast_link_local() {
            return Err(ZoneError::NotLinkLocal(ip));
        }
        Ok(Self { address: address.into(), zone: Some(zone) })
    }
}

impl fmt::Display for ZonedAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone {
            Some(zone) => write!(f, "[{}%{zone}]:{}", self.address.ip(), self.address.port()),
            None => self.address.fmt(f),
        }
    }
}

/// The error of parsing or resolving a [`ZonedAddr`].
///
/// # Examples
///
/// ```
/// use knet_transport::{ZoneError, ZonedAddr};
///
/// let error = "[fd00::1%eth0]:5405".parse::<ZonedAddr>().unwrap_err();
/// assert_eq!(error, ZoneError::NotLinkLocal("fd00::1".parse()?));
/// assert_eq!(error.to_string(), "fd00::1 is not link-local (fe80::…): write it without a zone");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// The text is not an address with a port.
    #[error("'{0}' is not an address: write 127.0.0.1:5405, [::1]:5405 or [fe80::1%eth0]:5405")]
    Address(String),
    /// No interface can have this name.
    #[error("'{0}' is not the name of an interface: names have 1 to 15 bytes, as eth0")]
    Name(String),
    /// Only link-local addresses belong to a zone.
    #[error("{0} is not link-local (fe80::…): write it without a zone")]
    NotLinkLocal(Ipv6Addr),
    /// This machine has no interface with this name.
    #[error("this machine has no interface {0}")]
    UnknownInterface(InterfaceName),
    /// The kernel refused to look up the interface.
    #[error("cannot look up the interface {name}: {}", std::io::Error::from_raw_os_error(*errno))]
    Os {
        /// The name of the interface.
        name: InterfaceName,
        /// The error number of the operating system.
        errno: i32,
    },
}

impl ZoneError {
    /// Returns the error number of the operating system: `ENODEV` for an interface that does not exist,
    /// `EINVAL` for what can be none.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Address(_) | Self::Name(_) | Self::NotLinkLocal(_) => libc::EINVAL,
            Self::UnknownInterface(_) => libc::ENODEV,
            Self::Os { errno, .. } => *errno,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ZonedAddr, ZoneError> {
        text.parse()
    }

    #[test]
    fn zones_by_name_by_number_and_none() {
        let named = parse("[fe80::1:2%br-lan.7]:5405").unwrap();
        assert_eq!(named.zone().unwrap().as_str(), "br-lan.7");
        assert_eq!(named.without_zone(), "[fe80::1:2]:5405".parse().unwrap());
        for text in ["[fe80::1%3]:5405", "[::1]:5405", "10.0.0.1:5405"] {
            let address = parse(text).unwrap();
            assert_eq!((address.zone(), address.to_string().as_str()), (None, text));
            assert_eq!(address.resolve(), Ok(text.parse().unwrap()));
        }
        let index = named.zone().map(|_| if_nametoindex("lo").unwrap()).unwrap();
        let lo = parse("[fe80::1%lo]:1").unwrap();
        assert_eq!(lo.resolve().unwrap(), format!("[fe80::1%{index}]:1").parse().unwrap());
    }

    #[test]
    fn each_mistake_is_reported() {
        for text in [
            "",
            "eth0",
            "[fe80::1%eth0]",
            "fe80::1%eth0:1",
            "[x%eth0]:1",
            "[fe80::1%e]:99999",
            "1%e:1",
        ] {
            assert_eq!(parse(text), Err(ZoneError::Address(text.into())), "{text:?}");
        }
        for name in ["", "sixteen-letters-", "a b", "a/b", "a%b", ".."] {
            assert_eq!(parse(&format!("[fe80::1%{name}]:1")), Err(ZoneError::Name(name.into())));
        }
        let error = parse("[2001:db8::1%eth0]:1").unwrap_err();
        assert!(matches!(error, ZoneError::NotLinkLocal(_)), "{error}");
        let error = parse("[fe80::1%no-such]:1").unwrap().resolve().unwrap_err();
        assert_eq!(error.to_string(), "this machine has no interface no-such");
        assert_eq!(error.errno(), libc::ENODEV);
    }
}
