//! Which sockets a data thread watches until they have room.

use knet_engine::SocketId;
use knet_poller::{Interest, Poller, Token};

use crate::io::sockets::Sockets;
use crate::log::{Causes, log};

/// The sockets of which a poller reports that they are writable.
#[derive(Debug)]
pub(crate) struct WritableWatch {
    poller: PollerUse,
    watched: Vec<SocketId>,
}

/// What the poller has a socket for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PollerUse {
    /// It reads all sockets, each under its id as token: a watched one gets one more interest.
    Reading,
    /// It has only the watched ones, under tokens that begin here.
    Writing {
        /// The token is this plus the socket's id.
        first_token: u64,
    },
}

impl WritableWatch {
    pub(crate) fn new(poller: PollerUse) -> Self {
        Self { poller, watched: Vec::new() }
    }

    /// Returns `true` if no socket is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Watches these sockets, and no others. One that cannot be watched is retried by its time all the
    /// same.
    pub(crate) fn set(
        &mut self,
        sockets: &Sockets,
        poller: &Poller,
        wanted: impl Iterator<Item = SocketId>,
    ) {
        let mut wanted: Vec<SocketId> = wanted.collect();
        wanted.sort_unstable();
        wanted.dedup();
        for &id in wanted.iter().filter(|id| !self.watched.contains(id)) {
            self.watch(sockets, poller, id);
        }
        for &id in self.watched.iter().filter(|id| !wanted.contains(id)) {
            self.unwatch(sockets, poller, id);
        }
        self.watched = wanted;
    }

    /// Stops watching a socket, until it is wanted again.
    pub(crate) fn remove(&mut self, sockets: &Sockets, poller: &Poller, id: SocketId) {
        if let Some(at) = self.watched.iter().position(|&watched| watched == id) {
            self.watched.swap_remove(at);
            self.unwatch(sockets, poller, id);
        }
    }

    fn watch(&self, sockets: &Sockets, poller: &Poller, id: SocketId) {
        let Some(socket) = sockets.get(id) else { return };
        let (both, writable) = (Interest::READ | Interest::WRITE, Interest::WRITE);
        match self.poller {
            // Only a socket that is being closed is not in the poller.
            PollerUse::Reading => drop(poller.modify(&*socket, Token(id.0), both)),
            PollerUse::Writing { first_token } => {
                let token = Token(first_token.saturating_add(id.0));
                if let Err(error) = poller.add(&*socket, token, writable) {
                    let log = sockets.log();
                    log!(debug, log, Transport, socket = id.0, error = %Causes(&error), "a full socket is not watched");
                }
            }
        }
    }

    fn unwatch(&self, sockets: &Sockets, poller: &Poller, id: SocketId) {
        // A socket that is closed is in no poller.
        let Some(socket) = sockets.get(id) else { return };
        match self.poller {
            PollerUse::Reading => drop(poller.modify(&*socket, Token(id.0), Interest::READ)),
            PollerUse::Writing { .. } => drop(poller.remove(&*socket)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use knet_poller::Events;

    use super::*;

    const FIRST: u64 = 1 << 40;

    fn tokens(poller: &Poller) -> Vec<u64> {
        let mut events = Events::with_capacity(8);
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().filter(|event| event.writable).map(|event| event.token.0).collect()
    }

    #[test]
    fn exactly_the_wanted_sockets_are_watched() {
        for way in [PollerUse::Reading, PollerUse::Writing { first_token: FIRST }] {
            let (sockets, reading) = (Sockets::default(), Poller::new().unwrap());
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            let [one, two] = [(); 2].map(|()| sockets.acquire_new_port(any, &reading).unwrap().0);
            let writing = Poller::new().unwrap();
            let (poller, first) = match way {
                PollerUse::Reading => (&reading, 0),
                PollerUse::Writing { first_token } => (&writing, first_token),
            };
            let mut watch = WritableWatch::new(way);
            assert!(watch.is_empty() && tokens(poller).is_empty());
            for wanted in [&[one, one][..], &[one, two], &[two], &[]] {
                watch.set(&sockets, poller, wanted.iter().copied());
                let mut expected: Vec<u64> = wanted.iter().map(|id| first + id.0).collect();
                expected.dedup();
                let mut found = tokens(poller);
                found.sort_unstable();
                assert_eq!(found, expected, "{way:?}");
                assert_eq!(watch.is_empty(), wanted.is_empty());
            }
        }
    }
}
