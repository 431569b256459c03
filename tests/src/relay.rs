//! A network path between two hosts that can be cut without any other sign: no socket is closed and
//! no error is reported. Its packets can be inspected and delayed.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Passes packets between two addresses until it is dropped.
#[derive(Debug)]
pub struct Relay {
    sockets: [Arc<UdpSocket>; 2],
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

struct State {
    cut: AtomicBool,
    stop: AtomicBool,
    watch: Box<Watch>,
}

/// Called with each packet before it is passed on.
type Watch = dyn Fn(&[u8]) + Send + Sync;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("cut", &self.cut).finish_non_exhaustive()
    }
}

impl Relay {
    /// Connects the hosts that are bound to these local addresses. Its own end has the address of the
    /// first.
    ///
    /// # Panics
    /// If the kernel refuses to make sockets.
    #[must_use]
    pub fn between(one: SocketAddr, two: SocketAddr) -> Self {
        Self::watched(one, two, |_| {})
    }

    /// Connects hosts as [`Relay::between`] does, and calls `watch` with each packet before it is
    /// passed on. If that takes long, the packets are delayed.
    ///
    /// # Panics
    /// If the kernel refuses to make sockets.
    #[must_use]
    pub fn watched(
        one: SocketAddr,
        two: SocketAddr,
        watch: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Self {
        let bind = || UdpSocket::bind((one.ip(), 0)).expect("a free port");
        let sockets = [Arc::new(bind()), Arc::new(bind())];
        let (cut, stop) = Default::default();
        let state = Arc::new(State { cut, stop, watch: Box::new(watch) });
        let mut threads = Vec::new();
        for (from, to, destination) in [(0, 1, two), (1, 0, one)] {
            let (from, to) = (sockets[from].clone(), sockets[to].clone());
            let state = state.clone();
            threads.push(thread::spawn(move || pass(&from, &to, destination, &state)));
        }
        Self { sockets, state, threads }
    }

    /// Returns the address to which the first host sends packets for the second.
    ///
    /// # Panics
    /// Never: the socket is bound.
    #[must_use]
    pub fn for_one(&self) -> SocketAddr {
        self.sockets[0].local_addr().expect("it is bound")
    }

    /// Returns the address to which the second host sends packets for the first.
    ///
    /// # Panics
    /// Never: the socket is bound.
    #[must_use]
    pub fn for_two(&self) -> SocketAddr {
        self.sockets[1].local_addr().expect("it is bound")
    }

    /// Drops all packets from now on.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// Passes packets again.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

fn pass(from: &UdpSocket, to: &UdpSocket, destination: SocketAddr, state: &State) {
    let mut packet = vec![0; 65_536];
    while !state.stop.load(Ordering::SeqCst) {
        // If a host is not listening, the error of the previous packet is reported here.
        let Ok(length) = from.recv(&mut packet) else { continue };
        if !state.cut.load(Ordering::SeqCst) {
            (state.watch)(&packet[..length]);
            let _ = to.send_to(&packet[..length], destination);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Each wakes the thread that reads from the other.
        let addresses = [self.for_one(), self.for_two()];
        for (socket, address) in self.sockets.iter().rev().zip(addresses) {
            let _ = socket.send_to(&[], address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
