//! The UDP sockets of a handle. A socket is opened for the first link that needs it, shared by the links with
//! the same local address, and closed with the last.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use knet_engine::{PacketTag, SocketId};
use knet_poller::{Interest, Poller, Token};
use knet_transport::{
    Datagram, MarkError, QosMarking, SendBatch, SendProgress, SocketOptions, UdpSocket,
    is_own_address,
};
use parking_lot::{Mutex, RwLock};

use crate::error::Error;
use crate::io::kernel_limits;
use crate::io::packet_tag;
use crate::io::queue_limit::{QueueLimit, Queued};
use crate::log::{Log, log};
use crate::operation::Operation;
use crate::release::{Release, wait_until_released};

/// All sockets of a handle.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Sockets {
    log: Log,
    /// The open sockets, in ascending order of their ids. The data threads lock it for look-ups only.
    open: RwLock<Vec<(SocketId, Arc<LinkSocket>)>>,
    /// The users of each socket. Locked by configuration calls only.
    registry: Mutex<Registry>,
    /// The marking of packets whose link has none of its own, as a tag. Written with the registry locked.
    marking: AtomicU32,
}

/// An open socket, and how much of it may wait for its device.
#[derive(Debug)]
pub(crate) struct LinkSocket {
    udp: Arc<UdpSocket>,
    pub(crate) limit: QueueLimit,
    /// An address that the kernel refused to send from, although it sent the packet.
    refused_source: Mutex<Option<IpAddr>>,
    /// What the kernel is to answer in a test.
    #[cfg(test)]
    pub(crate) script: Mutex<Script>,
    release: Release,
}

/// Answers in place of the kernel's.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// For the next sends: an errno, or `None` to ask the kernel.
    pub(crate) sends: std::collections::VecDeque<Option<i32>>,
    /// How many bytes are queued.
    pub(crate) queued: Option<u64>,
}

impl LinkSocket {
    fn new(udp: UdpSocket) -> Self {
        Self {
            udp: Arc::new(udp),
            limit: QueueLimit::default(),
            refused_source: Mutex::default(),
            #[cfg(test)]
            script: Mutex::default(),
            release: Release::default(),
        }
    }

    /// Sends datagrams. The only caller is `io/emit.rs`.
    pub(super) fn transmit(
        &self,
        batch: &mut SendBatch,
        datagrams: &[Datagram<'_>],
    ) -> SendProgress {
        #[cfg(test)]
        if let Some(Some(errno)) = self.script.lock().sends.pop_front() {
            let error = Some(knet_transport::SendError::from_errno(errno));
            return SendProgress { sent: 0, error, gso_disabled: false, refused_source: None };
        }
        let progress = self.udp.send(batch, datagrams);
        if progress.refused_source.is_some() {
            *self.refused_source.lock() = progress.refused_source;
        }
        progress
    }

    /// Returns how many bytes wait for their device.
    pub(super) fn queued(&self) -> Option<Queued> {
        let bytes = self.udp.queued_bytes().ok()? as u64;
        #[cfg(test)]
        let bytes = self.script.lock().queued.unwrap_or(bytes);
        Some(Queued { bytes, at: Instant::now() })
    }
}

impl Deref for LinkSocket {
    type Target = UdpSocket;

    fn deref(&self) -> &UdpSocket {
        &self.udp
    }
}

impl AsFd for LinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}

#[derive(Debug, Default)]
struct Registry {
    entries: Vec<Entry>,
    last_id: u64,
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
        let (open, registry) = (RwLock::default(), Mutex::default());
        Self { log, open, registry, marking: AtomicU32::new(0) }
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
        let id = SocketId(registry.last_id + 1);
        let socket = self.watched_socket(id, local, poller)?;
        registry.last_id = id.0;
        let bound = socket.local_addr();
        self.open.write().push((id, Arc::new(socket)));
        Ok((id, bound))
    }

    /// Opens a socket that `poller` watches under this id.
    fn watched_socket(
        &self,
        id: SocketId,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<LinkSocket, Error> {
        let marking = self.marking();
        // GRO is safe: the inbox has room for the longest run.
        let options = SocketOptions { marking, gro: true, ..SocketOptions::default() };
        let udp = UdpSocket::bind(local, &options)?;
        kernel_limits::log_new_socket(self.log, &udp);
        let socket = LinkSocket::new(udp);
        poller
            .add(&socket, Token(id.0), Interest::READ)
            .map_err(|error| Error::os(Operation::WatchSocket, error.errno(), error))?;
        Ok(socket)
    }

    /// Replaces a socket that is bound to a link-local IPv6 address by one with the same address on another
    /// interface. Returns `false` if it is there already, or has another kind of address. `pollers` are that
    /// which watches it, and one that may.
    pub(crate) fn set_scope(
        &self,
        id: SocketId,
        scope: u32,
        [poller, others]: [&Poller; 2],
    ) -> Result<bool, Error> {
        let mut registry = self.registry.lock();
        let Some(entry) = registry.entries.iter_mut().find(|entry| entry.id == id) else {
            return Ok(false);
        };
        let SocketAddr::V6(mut local) = entry.bound else { return Ok(false) };
        if !local.ip().is_unicast_link_local() || local.scope_id() == scope {
            return Ok(false);
        }
        local.set_scope_id(scope);
        let socket = self.watched_socket(id, local.into(), poller)?;
        (entry.asked, entry.bound) = (local.into(), local.into());
        let mut open = self.open.write();
        let place = open.iter_mut().find(|&&mut (open, _)| open == id);
        let old = place.map(|(_, place)| std::mem::replace(place, Arc::new(socket)));
        drop(open);
        // Another thread may hold it for as long as one system call takes.
        if let Some(old) = old {
            // These fail only if it is in no poller.
            let _ = poller.remove(&*old);
            let _ = others.remove(&*old);
        }
        Ok(true)
    }

    /// Returns `true` if packets to this address arrive at one of the sockets.
    pub(crate) fn is_own(&self, address: SocketAddr) -> bool {
        let bound: Vec<_> = self.registry.lock().entries.iter().map(|entry| entry.bound).collect();
        bound.iter().any(|bound| {
            let same_port = bound.port() == address.port() && bound.is_ipv4() == address.is_ipv4();
            let takes_all = bound.ip().is_unspecified();
            same_port && (bound.ip() == address.ip() || takes_all && is_own_address(address))
        })
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
            let udp = socket.udp.clone();
            if !wait_until_released(socket, |socket| &socket.release) {
                log!(
                    debug,
                    self.log,
                    Transport,
                    socket = id.0,
                    "a thread still holds a socket that is closed"
                );
            }
            let _ = others.remove(&*udp);
        }
        true
    }

    /// Marks the packets of all sockets, open ones and later ones. A marking of the packet's own takes
    /// precedence.
    pub(crate) fn set_marking(&self, marking: QosMarking) -> Result<(), MarkError> {
        let registry = self.registry.lock();
        self.marking.store(packet_tag::to_tag(Some(marking)).0, Relaxed);
        registry
            .entries
            .iter()
            .filter_map(|entry| self.get(entry.id))
            .try_for_each(|socket| socket.mark(marking))
    }

    pub(crate) fn marking(&self) -> QosMarking {
        packet_tag::from_tag(PacketTag(self.marking.load(Relaxed))).unwrap_or_default()
    }

    /// Returns the marking of a control packet of a link with this tag.
    pub(crate) fn control_marking(&self, tag: PacketTag) -> Option<QosMarking> {
        let own = packet_tag::from_tag(tag);
        if !knet_transport::supports_datagram_priority() {
            return own;
        }
        Some(packet_tag::of_control(own.unwrap_or_else(|| self.marking())))
    }

    /// Returns a socket to send or receive with. Do not hold it longer than one system call takes.
    pub(crate) fn get(&self, id: SocketId) -> Option<Arc<LinkSocket>> {
        let open = self.open.read();
        let at = open.binary_search_by_key(&id, |&(open, _)| open).ok()?;
        open.get(at).map(|(_, socket)| socket.clone())
    }

    /// Returns an address from which the kernel has refused to send over a socket since the last call, because
    /// this machine no longer has it.
    pub(crate) fn take_lost_source(&self, id: SocketId) -> Option<IpAddr> {
        let refused = self.get(id)?.refused_source.lock().take()?;
        (!is_own_address((refused, 0).into())).then_some(refused)
    }

    /// Returns the address that a socket is bound to, if this machine no longer has it.
    pub(crate) fn lost_addr(&self, id: SocketId) -> Option<IpAddr> {
        let bound = self.local_addr(id)?;
        let is_lost = !bound.ip().is_unspecified() && !is_own_address(bound);
        is_lost.then(|| bound.ip())
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
