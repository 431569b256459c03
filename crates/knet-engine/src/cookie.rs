//! Ping cookies that only we could have written.
//!
//! A pong carries its ping's 16 bytes back. libknet puts its clock there and believes whatever
//! returns; ours is the time since the engine was made and a keyed hash of it, of the link and of
//! the address that the ping went to, so
//! that a forged pong neither keeps a link up nor poisons its latency (`spec/engine.md` 11.3, 21).

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId};
use siphasher::sip::SipHasher24;

/// Writes and verifies ping cookies.
pub(crate) struct CookieJar {
    key: [u8; 16],
    epoch: Instant,
}

impl CookieJar {
    pub(crate) fn new(key: [u8; 16], epoch: Instant) -> Self {
        Self { key, epoch }
    }

    /// The cookie of a ping that leaves now on this link for this address.
    pub(crate) fn bake(
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

    /// When the ping of this cookie left, or `None` if it is not a cookie of ours for this link and
    /// address.
    pub(crate) fn verify(
        &self,
        cookie: [u8; 16],
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
    ) -> Option<Instant> {
        let cookie = u128::from_le_bytes(cookie);
        // The truncation is the point: the low half is the time, the high half the tag.
        let (nanos, tag) = (cookie as u64, (cookie >> 64) as u64);
        if self.tag(nanos, host, link, remote) != tag {
            return None;
        }
        self.epoch.checked_add(Duration::from_nanos(nanos))
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

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_tells_when_its_ping_left() {
        let epoch = Instant::now();
        let jar = CookieJar::new([7; 16], epoch);
        let (host, link) = (HostId::new(2), LinkId::ALL[3]);
        let remote = ([10, 0, 0, 2], 5405).into();
        let left = epoch + Duration::from_nanos(1_234_567_891);
        assert_eq!(jar.verify(jar.bake(left, host, link, remote), host, link, remote), Some(left));
    }

    #[test]
    fn a_changed_or_foreign_cookie_is_refused() {
        let epoch = Instant::now();
        let jar = CookieJar::new([7; 16], epoch);
        let (host, link) = (HostId::new(2), LinkId::ALL[3]);
        let remote = ([10, 0, 0, 2], 5405).into();
        let cookie = jar.bake(epoch, host, link, remote);
        for byte in 0..16 {
            let mut forged = cookie;
            forged[byte] ^= 1;
            assert_eq!(jar.verify(forged, host, link, remote), None, "byte {byte}");
        }
        assert_eq!(jar.verify(cookie, HostId::new(3), link, remote), None);
        assert_eq!(jar.verify(cookie, host, LinkId::ALL[4], remote), None);
        for other in [([10, 0, 0, 3], 5405), ([10, 0, 0, 2], 5406)] {
            assert_eq!(jar.verify(cookie, host, link, other.into()), None, "{other:?}");
        }
        assert_eq!(CookieJar::new([8; 16], epoch).verify(cookie, host, link, remote), None);
        assert_eq!(jar.verify([0; 16], host, link, remote), None);
    }
}
