//! The table of registered sources, which distinguishes live events from stale ones.
//!
//! The kernel gets a number that is never reused instead of the caller's token. An event counts only if
//! its number is still in this table. An event fetched before its source was removed is therefore
//! discarded, even if the descriptor number and the token belong to another source by now.

use std::collections::HashMap;
use std::os::fd::RawFd;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::{Event, Interest, Token};

/// The number of one registration, unique for the life of a poller.
pub(crate) type RegistrationId = u64;

/// The number of the waker. Registrations have higher ones.
pub(crate) const WAKER: RegistrationId = 0;

/// The caller's view of one registration.
#[derive(Clone, Copy, Debug)]
struct Registration {
    token: Token,
    interest: Interest,
}

/// All registrations of a poller. Both maps contain the same ones.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    last_id: RegistrationId,
    by_id: HashMap<RegistrationId, Registration>,
    id_of: HashMap<RawFd, RegistrationId>,
}

impl Registrations {
    /// Returns a number that no registration has or had. 64 bits do not run out.
    pub(crate) fn fresh_id(&mut self) -> RegistrationId {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn id_of(&self, fd: RawFd) -> Option<RegistrationId> {
        self.id_of.get(&fd).copied()
    }

    /// Adds a registration and removes the one that the descriptor number had before, if any.
    pub(crate) fn insert(
        &mut self,
        fd: RawFd,
        id: RegistrationId,
        token: Token,
        interest: Interest,
    ) {
        if let Some(stale) = self.id_of.insert(fd, id) {
            self.by_id.remove(&stale);
        }
        self.by_id.insert(id, Registration { token, interest });
    }

    pub(crate) fn forget(&mut self, fd: RawFd) {
        if let Some(id) = self.id_of.remove(&fd) {
            self.by_id.remove(&id);
        }
    }

    /// Converts an event of the kernel. Returns `None` if its registration is gone, or if the caller is
    /// no longer interested in what the event reports.
    pub(crate) fn report(&self, raw: &EpollEvent) -> Option<Event> {
        let &Registration { token, interest } = self.by_id.get(&raw.data())?;
        let flags = raw.events();
        let event = Event {
            token,
            readable: flags.contains(EpollFlags::EPOLLIN) && interest.contains(Interest::READ),
            writable: flags.contains(EpollFlags::EPOLLOUT) && interest.contains(Interest::WRITE),
            hangup: flags.contains(EpollFlags::EPOLLHUP),
            error: flags.contains(EpollFlags::EPOLLERR),
        };
        (event.readable || event.writable || event.hangup || event.error).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(id: RegistrationId, flags: EpollFlags) -> EpollEvent {
        EpollEvent::new(flags, id)
    }

    #[test]
    fn events_outside_the_current_interest_are_dropped() {
        let mut table = Registrations::default();
        let id = table.fresh_id();
        table.insert(5, id, Token(1), Interest::WRITE);
        assert!(table.report(&raw(id, EpollFlags::EPOLLIN)).is_none());
        let event = table.report(&raw(id, EpollFlags::all())).unwrap();
        assert!(!event.readable && event.writable && event.hangup && event.error);

        table.insert(5, id, Token(2), Interest::NONE);
        assert!(table.report(&raw(id, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT)).is_none());
        let event = table.report(&raw(id, EpollFlags::EPOLLHUP)).unwrap();
        assert!(event.token == Token(2) && event.hangup && !event.error);
    }

    #[test]
    fn no_registration_has_the_number_of_the_waker() {
        let mut table = Registrations::default();
        assert_ne!(table.fresh_id(), WAKER);
        assert!(table.report(&raw(WAKER, EpollFlags::all())).is_none());
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(RawFd, Token),
        Forget(RawFd),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            (0..6, 0_u64..4).prop_map(|(fd, token)| Operation::Insert(fd, Token(token))),
            (0..6).prop_map(Operation::Forget),
        ]
    }

    proptest! {
        /// Descriptor numbers and tokens are reused, ids never are. Only the latest id of each number
        /// is reported, and the others leave nothing behind.
        #[test]
        fn only_the_latest_registration_of_a_number_lives(
            operations in proptest::collection::vec(operation(), 0..200),
        ) {
            let mut table = Registrations::default();
            let mut model: HashMap<RawFd, (RegistrationId, Token)> = HashMap::new();
            let mut ids = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Insert(fd, token) => {
                        let id = table.fresh_id();
                        prop_assert!(!ids.contains(&id));
                        ids.push(id);
                        table.insert(fd, id, token, Interest::READ);
                        model.insert(fd, (id, token));
                    }
                    Operation::Forget(fd) => {
                        table.forget(fd);
                        model.remove(&fd);
                    }
                }
                for &id in &ids {
                    let token = model.values().find(|entry| entry.0 == id).map(|entry| entry.1);
                    let event = table.report(&raw(id, EpollFlags::EPOLLIN));
                    prop_assert_eq!(event.map(|event| event.token), token);
                }
                prop_assert_eq!(table.by_id.len(), model.len());
                prop_assert_eq!(table.id_of.len(), model.len());
            }
        }
    }
}
