//! The zones of a link's addresses, by name.

use knet_transport::InterfaceName;

/// The interfaces to which the link-local IPv6 addresses of a link belong, by name.
/// [`LinkConfig::udp_zoned`](crate::LinkConfig::udp_zoned) sets them.
///
/// # Examples
///
/// ```
/// use knet_handle::LinkZones;
///
/// let zones = LinkZones { local: Some("eth0".parse()?), ..LinkZones::default() };
/// assert_eq!(zones.remote, None);
/// # Ok::<(), knet_handle::ZoneError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a link has two ends")]
pub struct LinkZones {
    /// That of the address of this host.
    pub local: Option<InterfaceName>,
    /// That of the address of the peer.
    pub remote: Option<InterfaceName>,
}

impl LinkZones {
    /// Returns `true` if no zone has a name.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
