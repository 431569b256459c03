//! Unforgeable ping cookies (`docs/protocol.md`, "Pongs").
//!
//! A pong returns the 16 bytes of its ping. libknet puts its clock there and trusts what returns.
//! Here they are the time since the engine was created, and a keyed hash of that time, of the link
//! and of the destination address. So a forged pong neither keeps a link up nor falsifies its
//! latency.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId};
use siphasher::sip::SipHasher24;

/// Issues and verifies ping cookies.
pub(crate) struct CookieSigner {
    key: [u8; 16],
    epoch: Instant,
}

impl CookieSigner {
    pub(crate) fn new(key: [u8; 16], epoch: Instant) -> Self {
        Self { key, epoch }
    }

    /// Returns the cookie of a ping that leaves now on this link for this address.
    pub(crate) fn issue(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
    ) -> [u8; 16] {
        let age = now.saturating_duration_since(self.epoch);
        // A u64 of nanoseconds lasts 584 years.
        let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let mut cookie = [0; 16];
        let (time, tag) = cookie.split_at_mut(8);
        time.copy_from_slice(&nanos.to_le_bytes());
        tag.copy_from_slice(&self.tag(nanos, host, link, remote).to_le_bytes());
        cookie
    }

    /// Returns when the ping with this cookie left, or `None` if the cookie was not issued for this
    /// link and address.
    pub(crate) fn verify(
        &self,
        cookie: [u8; 16],
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
    ) -> Option<Instant> {
        let cookie = u128::from_le_bytes(cookie);
        // Truncation is intended: the low half is the time, the high half the tag.
        let (nanos, tag) = (cookie as u64, (cookie >> 64) as u64);
        if self.tag(nanos, host, link, remote) != tag {
            return None;
        }
        self.epoch.checked_add(Duration::from_nanos(nanos))
    }

    /// Returns a number for a path MTU probe that leaves now on this link for this address. Only who
    /// gets the probe knows it.
    pub(crate) fn probe_cookie(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
    ) -> u16 {
        let age = now.saturating_duration_since(self.epoch);
        let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        // No ping has such a number for its time, so that none of their tags gives this one away.
        let [high, low, ..] = self.tag(!nanos, host, link, remote).to_le_bytes();
        u16::from_le_bytes([high, low])
    }

    fn tag(&self, nanos: u64, host: HostId, link: LinkId, remote: SocketAddr) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(nanos);
        hasher.write_u16(host.get());
        hasher.write_u8(link.get());
        // Not the whole address: the kernel may leave out an IPv6 scope.
        remote.ip().hash(&mut hasher);
        hasher.write_u16(remote.port());
        hasher.finish()
    }
}

impl std::fmt::Debug for CookieSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieSigner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_shows_when_its_ping_left() {
        let epoch = Instant::now();
        let signer = CookieSigner::new([7; 16], epoch);
        let (host, link) = (HostId::new(2), LinkId::ALL[3]);
        let remote = ([10, 0, 0, 2], 5405).into();
        let left = epoch + Duration::from_nanos(1_234_567_891);
        assert_eq!(
            signer.verify(signer.issue(left, host, link, remote), host, link, remote),
            Some(left)
        );
    }

    #[test]
    fn a_changed_or_foreign_cookie_is_refused() {
        let epoch = Instant::now();
        let signer = CookieSigner::new([7; 16], epoch);
        let (host, link) = (HostId::new(2), LinkId::ALL[3]);
        let remote = ([10, 0, 0, 2], 5405).into();
        let cookie = signer.issue(epoch, host, link, remote);
        for byte in 0..16 {
            let mut forged = cookie;
            forged[byte] ^= 1;
            assert_eq!(signer.verify(forged, host, link, remote), None, "byte {byte}");
        }
        assert_eq!(signer.verify(cookie, HostId::new(3), link, remote), None);
        assert_eq!(signer.verify(cookie, host, LinkId::ALL[4], remote), None);
        for other in [([10, 0, 0, 3], 5405), ([10, 0, 0, 2], 5406)] {
            assert_eq!(signer.verify(cookie, host, link, other.into()), None, "{other:?}");
        }
        assert_eq!(CookieSigner::new([8; 16], epoch).verify(cookie, host, link, remote), None);
        assert_eq!(signer.verify([0; 16], host, link, remote), None);
    }
}
