//! Our own address on a link whose socket is bound to all addresses of this machine.
//!
//! The peer accepts packets only from the address that it knows, so they have to leave from there
//! (`docs/protocol.md`, "Own address"). A pong shows which one that is: it answers a ping of ours.
//! A ping is a hint only, because its source may be forged: if a ping of ours goes unanswered, the
//! next one leaves from the address that the hint names.

use std::net::IpAddr;

/// The own address of a link. Both fields stay `None` if the socket is bound to one address.
#[derive(Debug, Default)]
pub(crate) struct OwnAddress {
    /// Where the latest pong arrived.
    proven: Option<IpAddr>,
    /// Where a ping arrived that may show that the peer knows another address.
    hint: Option<IpAddr>,
    /// `true` if the latest ping followed a hint.
    followed: bool,
    /// The address that packets were to leave from and that this machine no longer has, until a pong comes.
    lost: Option<IpAddr>,
}

impl OwnAddress {
    /// Returns the address that packets leave from, or `None` if the kernel chooses.
    pub(crate) fn get(&self) -> Option<IpAddr> {
        self.proven
    }

    /// Notes that the peer, or a forger, has sent a ping to `at`.
    pub(crate) fn ping_received(&mut self, at: Option<IpAddr>) {
        self.hint = at.filter(|_| at != self.proven);
    }

    /// Notes that a pong to a ping of ours arrived at `at`. Returns `true` if packets leave from
    /// another address now.
    pub(crate) fn pong_received(&mut self, at: Option<IpAddr>) -> bool {
        self.lost = None;
        let changed = at.is_some() && at != self.proven;
        if changed {
            self.proven = at;
        }
        self.hint.take_if(|hint| self.proven == Some(*hint));
        changed
    }

    /// Returns the address that the next ping leaves from. `missed` specifies whether the ping
    /// before went unanswered, which lets a hint be followed once. Every other ping leaves from the
    /// proven address however many hints there are, so that forged ones cannot take the link down.
    pub(crate) fn of_next_ping(&mut self, missed: bool) -> Option<IpAddr> {
        let may_follow = missed && !self.followed;
        let hint = self.hint.take_if(|_| may_follow);
        self.followed = hint.is_some();
        hint.or(self.proven)
    }

    /// Returns the address that the peer knows and this machine no longer has.
    pub(crate) fn lost(&self) -> Option<IpAddr> {
        self.lost
    }

    /// Notes which address a ping could not leave from, because this machine no longer has it. `None` if that
    /// was not the reason.
    pub(crate) fn set_lost(&mut self, address: Option<IpAddr>) {
        self.lost = address;
    }

    /// Notes that the link went down: what was proven may no longer hold.
    pub(crate) fn link_down(&mut self) {
        self.proven = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

    #[test]
    fn a_ping_is_a_hint_that_one_ping_follows_after_a_missed_answer() {
        let mut own = OwnAddress::default();
        assert!(own.pong_received(HERE));
        assert!(!own.pong_received(HERE), "no change");
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(false), HERE, "the last ping was answered");
        assert_eq!(own.of_next_ping(true), THERE);
        assert_eq!(own.of_next_ping(true), HERE, "a hint is followed once");
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(true), THERE);
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(true), HERE, "every other ping follows none");
        own.ping_received(HERE);
        assert_eq!(own.of_next_ping(true), HERE, "the peer knows the proven address");
    }

    #[test]
    fn a_pong_decides_and_holds_until_the_link_goes_down() {
        let mut own = OwnAddress::default();
        own.ping_received(HERE);
        assert_eq!(own.get(), None);
        assert!(own.pong_received(HERE));
        assert!(!own.pong_received(None), "the kernel did not report where it arrived");
        assert_eq!(own.get(), HERE);
        assert!(own.pong_received(THERE));
        own.link_down();
        assert_eq!((own.get(), own.of_next_ping(true)), (None, None));
    }
}
