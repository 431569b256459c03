//! The UDP sockets of a handle. A socket is opened for the first link that needs it, shared by the links with
//! the same local address, and closed with the last.

use std::net::SocketAddr;
use std::sync::Arc;

use knet_engine::SocketId;
use knet_poller::{Interest, Poller, Token};
use knet_transport::{MarkError, QosMarking, SocketOptions, UdpSocket};
use parking_lot::{Mutex, RwLock};

use crate::error::Error;
use crate::io::drain::wait_until_unused;
use crate::io::kernel_limits;
use crate::log::Log;
use crate::operation::Operation;

/// All sockets of a handle.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Sockets {
    log: Log,
    /// The open sockets, in ascending order of their ids. The data threads lock it for look-ups only.
    open: RwLock<Vec<(SocketId, Arc<UdpSocket>)>>,
    /// The users of each socket. Locked by configuration calls only.
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    entries: Vec<Entry>,
    last_id: u64,
    /// The marking of packets whose link has none of its own.
    marking: QosMarking,
}

#[derive(Debug)]
struct Entry {
    id: SocketId,
    /// The address that was asked for. Its port may be 0.
    asked: SocketAddr,
    bound: SocketAddr,
    users: usize,
}

impl Sockets {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, open: RwLock::default(), registry: Mutex::default() }
    }

    /// Returns the log of their handle.
    pub(crate) fn log(&self) -> Log {
        self.log
    }

    /// Returns the socket with this local address, and the address that it is bound to. Opens the socket if
    /// there is none. Each call is undone by a call of [`Sockets::release`].
    pub(crate) fn acquire(
        &self,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<(SocketId, SocketAddr), Error> {
        let mut registry = self.registry.lock();
        let shared = registry.entries.iter_mut().find(|e| e.asked == local || e.bound == local);
        if let Some(entry) = shared {
            entry.users += 1;
            return Ok((entry.id, entry.bound));
        }
        let (id, bound) = self.open(&mut registry, local, poller)?;
        registry.entries.push(Entry { id, asked: local, bound, users: 1 });
        Ok((id, bound))
    }

    /// Opens a new socket if the port is 0, for the kernel to choose; otherwise does the same as
    /// [`Sockets::acquire`].
    pub(crate) fn acquire_new_port(
        &self,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<(SocketId, SocketAddr), Error> {
        if local.port() != 0 {
            return self.acquire(local, poller);
        }
        let mut registry = self.registry.lock();
        let (id, bound) = self.open(&mut registry, local, poller)?;
        registry.entries.push(Entry { id, asked: bound, bound, users: 1 });
        Ok((id, bound))
    }

    fn open(
        &self,
        registry: &mut Registry,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<(SocketId, SocketAddr), Error> {
        let marking = registry.marking;
        // GRO is safe: the inbox has room for the longest run.
        let options = SocketOptions { marking, gro: true, ..SocketOptions::default() };
        let socket = UdpSocket::bind(local, &options)?;
        kernel_limits::log_new_socket(self.log, &socket);
        let id = SocketId(registry.last_id + 1);
        poller
            .add(&socket, Token(id.0), Interest::READ)
            .map_err(|error| Error::os(Operation::WatchSocket, error.errno(), error))?;
        registry.last_id = id.0;
        let bound = socket.local_addr();
        self.open.write().push((id, Arc::new(socket)));
        Ok((id, bound))
    }

    /// Releases one use of a socket. The last one closes the socket: once this returns, its address can be
    /// bound again. Returns `true` if that was the last. `poller` watches the socket, and `others` may.
    pub(crate) fn release(&self, id: SocketId, poller: &Poller, others: &Poller) -> bool {
        let mut registry = self.registry.lock();
        let position = registry.entries.iter().position(|entry| entry.id == id);
        let Some(at) = position else { return false };
        let Some(entry) = registry.entries.get_mut(at) else { return false };
        entry.users -= 1;
        if entry.users > 0 {
            return false;
        }
        registry.entries.remove(at);
        let mut open = self.open.write();
        let found = open.iter().position(|&(open, _)| open == id);
        let socket = found.map(|at| open.remove(at).1);
        drop(open);
        if let Some(socket) = socket {
            // This fails only if the kernel has removed the socket from the poller by itself.
            let _ = poller.remove(&*socket);
            // A forked process may keep it open, and the kernel would continue to watch it.
            if let Some(socket) = wait_until_unused(socket) {
                let _ = others.remove(&socket);
            }
        }
        true
    }

    /// Marks the packets of all sockets, open ones and later ones. A marking of the packet's own takes
    /// precedence.
    pub(crate) fn set_marking(&self, marking: QosMarking) -> Result<(), MarkError> {
        let mut registry = self.registry.lock();
        registry.marking = marking;
        registry
            .entries
            .iter()
            .filter_map(|entry| self.get(entry.id))
            .try_for_each(|socket| socket.mark(marking))
    }

    pub(crate) fn marking(&self) -> QosMarking {
        self.registry.lock().marking
    }

    /// Returns a socket to send or receive with. Do not hold it longer than one system call takes.
    pub(crate) fn get(&self, id: SocketId) -> Option<Arc<UdpSocket>> {
        let open = self.open.read();
        let at = open.binary_search_by_key(&id, |&(open, _)| open).ok()?;
        open.get(at).map(|(_, socket)| socket.clone())
    }

    /// Returns the address that a socket is bound to.
    pub(crate) fn local_addr(&self, id: SocketId) -> Option<SocketAddr> {
        let registry = self.registry.lock();
        registry.entries.iter().find(|entry| entry.id == id).map(|entry| entry.bound)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket as StdSocket};

    use super::*;

    #[test]
    fn links_with_one_local_address_share_a_socket_that_the_last_closes() {
        let (sockets, poller) = (Sockets::default(), Poller::new().unwrap());
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let (first, bound) = sockets.acquire(any, &poller).unwrap();
        assert_ne!(bound.port(), 0);
        assert_eq!(sockets.acquire(bound, &poller).unwrap(), (first, bound));
        assert_eq!(sockets.acquire(any, &poller).unwrap(), (first, bound));
        assert_eq!(sockets.local_addr(first), Some(bound));

        sockets.release(first, &poller, &poller);
        sockets.release(first, &poller, &poller);
        assert!(StdSocket::bind(bound).is_err(), "one user is left");
        sockets.release(first, &poller, &poller);
        assert!(sockets.get(first).is_none());
        StdSocket::bind(bound).expect("the address is free at once");
    }

    #[test]
    fn an_address_in_use_is_an_error_that_leaves_nothing() {
        let (sockets, poller) = (Sockets::default(), Poller::new().unwrap());
        let taken = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = sockets.acquire(taken.local_addr().unwrap(), &poller).unwrap_err();
        assert_eq!(error.errno(), 98, "EADDRINUSE");
        assert!(sockets.open.read().is_empty());
        assert!(sockets.registry.lock().entries.is_empty());
    }
}
