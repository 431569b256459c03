//! Our own address on a link whose socket is bound to all addresses of this machine.
//!
//! The peer accepts packets only from the address that it knows, so they have to leave from there
//! (`docs/protocol.md`, "Own address"). A pong shows which one that is: it answers a ping of ours.
//! A ping is a hint only, because its source may be forged: if a ping of ours goes unanswered, the
//! next one leaves from an address that a hint names. Hints are followed in turn, however often
//! each was heard, so forged ones keep out none.

use std::net::IpAddr;

/// The own address of a link. Nothing is known if the socket is bound to one address.
#[derive(Debug, Default)]
pub(crate) struct OwnAddress {
    /// Where the latest pong arrived.
    proven: Option<IpAddr>,
    /// Where pings arrived that may show that the peer knows another address.
    hints: Vec<Hint>,
    /// The turn in which the latest ping left from an address that is not proven.
    turn: u64,
    /// The turn in which the kernel last chose the address.
    kernel: u64,
    /// `true` if the latest ping followed a hint.
    followed: bool,
    /// The address that packets were to leave from and that this machine no longer has, until a pong comes.
    lost: Option<IpAddr>,
}

/// An address that the peer may know.
#[derive(Debug)]
struct Hint {
    address: IpAddr,
    /// `true` if a ping has arrived there since it was last followed.
    heard: bool,
    /// The turn in which it was last followed; 0 if it never was.
    turn: u64,
}

impl OwnAddress {
    /// Returns the address that packets leave from, or `None` if the kernel chooses.
    pub(crate) fn get(&self) -> Option<IpAddr> {
        self.proven
    }

    /// Notes that the peer, or a forger, has sent a ping to `at`.
    pub(crate) fn ping_received(&mut self, at: Option<IpAddr>) {
        let Some(address) = at.filter(|_| at != self.proven) else { return };
        if let Some(hint) = self.hints.iter_mut().find(|hint| hint.address == address) {
            hint.heard = true;
            return;
        }
        let new = Hint { address, heard: true, turn: 0 };
        if self.hints.len() < MAX_HINTS {
            self.hints.push(new);
            return;
        }
        // One that waits for its turn stays.
        let done = self.hints.iter_mut().filter(|hint| !hint.heard || hint.turn > 0);
        if let Some(hint) = done.max_by_key(|hint| (!hint.heard, hint.turn)) {
            *hint = new;
        }
    }

    /// Notes that a pong to a ping of ours arrived at `at`. Returns `true` if packets leave from
    /// another address now.
    pub(crate) fn pong_received(&mut self, at: Option<IpAddr>) -> bool {
        self.lost = None;
        // It refutes the hints so far.
        self.hints.clear();
        let changed = at.is_some() && at != self.proven;
        if changed {
            self.proven = at;
        }
        changed
    }

    /// Returns the address that the next ping leaves from. `missed` specifies whether the ping
    /// before went unanswered, which lets a hint be followed once.
    ///
    /// Every other ping leaves from the proven address however many hints there are, so that forged
    /// ones cannot take the link down. While none is proven, the kernel's choice has its turn like
    /// the hints.
    pub(crate) fn of_next_ping(&mut self, missed: bool) -> Option<IpAddr> {
        let next = self.hints.iter_mut().filter(|hint| hint.heard).min_by_key(|hint| hint.turn);
        let may_follow = |hint: &&mut Hint| match self.proven {
            Some(_) => missed && !self.followed,
            None => missed && hint.turn <= self.kernel,
        };
        let Some(hint) = next.filter(may_follow) else {
            self.followed = false;
            if self.proven.is_none() {
                self.turn += 1;
                self.kernel = self.turn;
            }
            return self.proven;
        };
        self.turn += 1;
        (hint.heard, hint.turn, self.followed) = (false, self.turn, true);
        Some(hint.address)
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

/// How many addresses of this machine are followed in turn.
const MAX_HINTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = own(1);
    const THERE: Option<IpAddr> = own(2);

    const fn own(last: u8) -> Option<IpAddr> {
        Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, last)))
    }

    #[test]
    fn a_ping_is_a_hint_that_one_ping_follows_after_a_missed_answer() {
        let mut own = OwnAddress::default();
        assert!(own.pong_received(HERE));
        assert!(!own.pong_received(HERE), "no change");
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(false), HERE, "the last ping was answered");
        assert_eq!(own.of_next_ping(true), THERE);
        assert_eq!(own.of_next_ping(true), HERE, "a hint is followed once");
        assert_eq!(own.of_next_ping(true), HERE);
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(true), THERE);
        own.ping_received(THERE);
        assert_eq!(own.of_next_ping(true), HERE, "every other ping follows none");
        assert!(!own.pong_received(HERE));
        assert_eq!(own.of_next_ping(true), HERE, "a pong refutes hints");
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

    /// Returns how many pings it takes until one leaves from `HERE`, where the peer sends a ping
    /// before each, while a forger sends many more to these addresses, before and after it.
    fn pings_until_here(own: &mut OwnAddress, forged: &[Option<IpAddr>]) -> usize {
        let forge = |own: &mut OwnAddress| {
            for &address in forged.iter().cycle().take(100) {
                own.ping_received(address);
            }
        };
        let pings = |_: &usize| {
            forge(own);
            own.ping_received(HERE);
            forge(own);
            own.of_next_ping(true) == HERE
        };
        (1..1000).find(pings).expect("it has its turn")
    }

    #[test]
    fn forged_hints_keep_out_no_other_one() {
        for forged in 1..15 {
            let addresses: Vec<_> = (2..2 + forged).map(own).collect();
            let mut down = OwnAddress::default();
            for _ in 0..3 {
                let pings = pings_until_here(&mut down, &addresses);
                assert!(pings <= addresses.len() + 2, "{pings} of {forged}");
            }
            let mut up = OwnAddress::default();
            up.pong_received(own(100));
            for _ in 0..3 {
                let pings = pings_until_here(&mut up, &addresses);
                assert!(pings <= 2 * (addresses.len() + 1), "{pings} of {forged}");
            }
        }
    }

    #[test]
    fn hints_are_bounded_and_those_that_wait_stay() {
        let mut own_address = OwnAddress::default();
        own_address.ping_received(HERE);
        (2..200).for_each(|last| own_address.ping_received(own(last)));
        assert_eq!(own_address.hints.len(), MAX_HINTS);
        assert_eq!(own_address.of_next_ping(true), HERE);
        own_address.ping_received(own(200));
        assert_eq!(own_address.hints.len(), MAX_HINTS);
        assert!(own_address.hints.iter().any(|hint| Some(hint.address) == own(200)));
    }
}
