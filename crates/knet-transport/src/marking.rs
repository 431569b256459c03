//! Markings of packets for the queues of this machine and for routers.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::{fmt, io};

/// The marking of the packets of a socket, or of a single packet. Unmarked by default.
///
/// # Examples
///
/// ```
/// use knet_transport::{Dscp, QosMarking};
///
/// assert_eq!(QosMarking::default(), QosMarking { priority: false, dscp: None });
/// let voice = QosMarking { priority: true, dscp: Some(Dscp::try_from(46)?) };
/// assert_eq!(voice.dscp.map(Dscp::get), Some(46));
/// # Ok::<(), knet_transport::DscpOutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct QosMarking {
    /// Whether packets precede others on this machine (`SO_PRIORITY` 6). Without a `dscp`, they are also
    /// marked for low delay (traffic class 0x10), like libknet's `KNET_LINK_FLAG_TRAFFICHIPRIO`.
    pub priority: bool,
    /// The code point for routers on the path, in the traffic class of the IP header: `IP_TOS` of an IPv4
    /// socket, `IPV6_TCLASS` of an IPv6 one.
    pub dscp: Option<Dscp>,
}

impl QosMarking {
    /// Returns the traffic class byte of the packets.
    pub(crate) fn traffic_class(self) -> u8 {
        self.dscp.map_or(if self.priority { LOW_DELAY } else { 0 }, Dscp::traffic_class)
    }
}

/// `IPTOS_LOWDELAY` of `ip(7)`, with which libknet marks prioritized traffic.
const LOW_DELAY: u8 = 0x10;

/// The error of [`UdpSocket::mark`](crate::UdpSocket::mark): the kernel refused an option.
///
/// # Examples
///
/// ```
/// use knet_transport::{MarkError, QosMarking, SocketOptions, UdpSocket};
///
/// fn prefer(socket: &UdpSocket) -> Result<(), MarkError> {
///     socket.mark(QosMarking { priority: true, dscp: None })
/// }
///
/// let socket = UdpSocket::bind("127.0.0.1:0".parse()?, &SocketOptions::default())?;
/// if let Err(error) = prefer(&socket) {
///     panic!("{} of {}: {}", error.option, error.address, error.source);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("cannot set {option} on the UDP socket of {address}")]
#[non_exhaustive]
pub struct MarkError {
    /// The local address of the socket.
    pub address: SocketAddr,
    /// The name of the option in the manual page.
    pub option: &'static str,
    /// The error of the kernel.
    pub source: io::Error,
}

impl MarkError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(libc::EIO)
    }
}

/// A differentiated services code point, 0..=63 (RFC 2474, section 3).
///
/// # Examples
///
/// ```
/// use knet_transport::Dscp;
///
/// let expedited = Dscp::try_from(46)?;
/// assert_eq!(expedited.get(), 46);
/// assert!(Dscp::try_from(64).is_err());
/// # Ok::<(), knet_transport::DscpOutOfRange>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
// One more than the code point, so that an `Option` has the same size: each datagram has one.
pub struct Dscp(NonZeroU8);

impl Dscp {
    /// The highest code point.
    pub const MAX: Dscp = Dscp(NonZeroU8::MIN.saturating_add(63));

    /// Returns the code point, 0..=63.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_transport::Dscp::MAX.get(), 63);
    /// ```
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get() - 1
    }

    /// Returns the byte of the IP header: the code point in the upper six bits, no congestion notification.
    pub(crate) fn traffic_class(self) -> u8 {
        self.get() << 2
    }
}

impl TryFrom<u8> for Dscp {
    type Error = DscpOutOfRange;

    /// Converts a code point.
    ///
    /// # Errors
    ///
    /// [`DscpOutOfRange`] above 63.
    fn try_from(number: u8) -> Result<Dscp, DscpOutOfRange> {
        let in_range = number <= Dscp::MAX.get();
        if in_range {
            Ok(Dscp(NonZeroU8::MIN.saturating_add(number)))
        } else {
            Err(DscpOutOfRange(number))
        }
    }
}

impl fmt::Debug for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dscp").field(&self.get()).finish()
    }
}

/// The error of a number that is not a differentiated services code point.
///
/// # Examples
///
/// ```
/// use knet_transport::Dscp;
///
/// let error = Dscp::try_from(64).unwrap_err();
/// assert_eq!(error.to_string(), "64 is not a DSCP, use 0 to 63");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} is not a DSCP, use 0 to 63")]
pub struct DscpOutOfRange(
    /// The number.
    pub u8,
);

impl DscpOutOfRange {
    /// Returns `EINVAL`, which libknet sets for an invalid argument.
    #[must_use]
    pub fn errno(&self) -> i32 {
        libc::EINVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_have_six_bits() {
        for number in 0..=u8::MAX {
            match Dscp::try_from(number) {
                Ok(dscp) => {
                    assert!(number < 64);
                    assert_eq!(dscp.get(), number);
                    assert_eq!(dscp.traffic_class(), number * 4);
                }
                Err(error) => {
                    assert!(number >= 64);
                    assert_eq!(error, DscpOutOfRange(number));
                    assert_eq!(error.errno(), libc::EINVAL);
                }
            }
        }
    }

    #[test]
    fn an_optional_marking_has_two_bytes() {
        assert_eq!(size_of::<Option<QosMarking>>(), 2);
        assert_eq!(format!("{:?}", Dscp::MAX), "Dscp(63)");
    }

    #[test]
    fn traffic_class_follows_dscp_then_priority() {
        let expedited = Some(Dscp::try_from(46).unwrap());
        assert_eq!(QosMarking::default().traffic_class(), 0);
        assert_eq!(QosMarking { priority: true, dscp: None }.traffic_class(), 0x10);
        assert_eq!(QosMarking { priority: false, dscp: expedited }.traffic_class(), 0xb8);
        assert_eq!(QosMarking { priority: true, dscp: expedited }.traffic_class(), 0xb8);
    }
}
