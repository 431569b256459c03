//! Transports of links, by libknet's names and numbers (`docs/porting.md`, "Transports").

use std::fmt;
use std::str::FromStr;

use crate::errno::{EINVAL, ENOENT, EPROTONOSUPPORT};

/// What carries the messages of a link.
///
/// # Examples
///
/// ```
/// use knet_handle::{Transport, TransportError};
///
/// assert_eq!("UDP".parse(), Ok(Transport::Udp));
/// assert_eq!(Transport::try_from(0), Ok(Transport::Loopback));
/// assert_eq!("SCTP".parse::<Transport>(), Err(TransportError::Sctp));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// Messages to the own host, without packets. Number 0, `LOOPBACK`.
    Loopback,
    /// UDP over IPv4 or IPv6. Number 1, `UDP`.
    Udp,
}

impl Transport {
    /// All transports, in the order of their numbers (`knet_get_transport_list`).
    pub const ALL: [Self; 2] = [Self::Loopback, Self::Udp];

    /// Returns the number (`knet_get_transport_id_by_name`).
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::Loopback => 0,
            Self::Udp => 1,
        }
    }

    /// Returns the name (`knet_get_transport_name_by_id`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "LOOPBACK",
            Self::Udp => "UDP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Transport {
    type Err = TransportError;

    /// Returns the transport with this name, which is in capital letters, as in libknet.
    fn from_str(name: &str) -> Result<Self, TransportError> {
        let found = Self::ALL.into_iter().find(|transport| transport.name() == name);
        found.ok_or_else(|| match name {
            "SCTP" => TransportError::Sctp,
            _ => TransportError::UnknownName(name.to_owned()),
        })
    }
}

impl TryFrom<u8> for Transport {
    type Error = TransportError;

    /// Returns the transport with this number.
    fn try_from(id: u8) -> Result<Self, TransportError> {
        let found = Self::ALL.into_iter().find(|transport| transport.id() == id);
        found.ok_or(if id == SCTP { TransportError::Sctp } else { TransportError::UnknownId(id) })
    }
}

/// The error of looking up a [`Transport`].
///
/// # Examples
///
/// ```
/// use knet_handle::{Transport, TransportError};
///
/// let error = "udp".parse::<Transport>().unwrap_err();
/// assert_eq!(error, TransportError::UnknownName("udp".to_owned()));
/// assert_eq!(error.to_string(), "no transport is named \"udp\": use LOOPBACK or UDP");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// SCTP, which upstream is giving up.
    #[error("the transport SCTP is not supported, upstream is giving it up: use UDP")]
    Sctp,
    /// No transport has this name.
    #[error("no transport is named {0:?}: use LOOPBACK or UDP")]
    UnknownName(String),
    /// No transport has this number.
    #[error("no transport has number {0}: 0 is LOOPBACK, 1 is UDP")]
    UnknownId(u8),
}

impl TransportError {
    /// Returns libknet's `errno` value for this error.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            // As for a kernel that does not have it.
            Self::Sctp => EPROTONOSUPPORT,
            Self::UnknownName(_) | Self::UnknownId(u8::MAX) => EINVAL,
            Self::UnknownId(_) => ENOENT,
        }
    }
}

/// `KNET_TRANSPORT_SCTP`.
const SCTP: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_libknets_and_lead_back() {
        let list = Transport::ALL.map(|transport| (transport.id(), transport.name()));
        assert_eq!(list, [(0, "LOOPBACK"), (1, "UDP")]);
        for transport in Transport::ALL {
            assert_eq!(transport.to_string().parse(), Ok(transport));
            assert_eq!(Transport::try_from(transport.id()), Ok(transport));
        }
    }

    #[test]
    fn what_there_is_not_is_an_error_that_says_what_there_is() {
        let name = |name: &str| name.parse::<Transport>().unwrap_err();
        let id = |id: u8| Transport::try_from(id).unwrap_err();
        for (error, errno, text) in [
            (
                name("SCTP"),
                93,
                "the transport SCTP is not supported, upstream is giving it up: use UDP",
            ),
            (id(2), 93, "the transport SCTP is not supported, upstream is giving it up: use UDP"),
            (name("ARP"), 22, "no transport is named \"ARP\": use LOOPBACK or UDP"),
            (name("udp"), 22, "no transport is named \"udp\": use LOOPBACK or UDP"),
            (id(3), 2, "no transport has number 3: 0 is LOOPBACK, 1 is UDP"),
            (id(255), 22, "no transport has number 255: 0 is LOOPBACK, 1 is UDP"),
        ] {
            assert_eq!((error.errno(), error.to_string().as_str()), (errno, text));
        }
    }
}
