//! A wire between two hosts that drops the packets selected by a test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::process::free_address;

/// Forwards packets between two addresses until it is dropped.
pub(crate) struct Wire {
    /// The addresses that the hosts send to: `for_one` is the remote address of the first host.
    pub(crate) for_one: SocketAddr,
    pub(crate) for_two: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A packet on the wire.
pub(crate) struct Passing<'a> {
    /// `true` if it travels from the first host to the second.
    pub(crate) from_one: bool,
    /// The UDP payload.
    pub(crate) bytes: &'a [u8],
}

impl Passing<'_> {
    /// Returns `true` if the packet is a ping, according to its second byte.
    pub(crate) fn is_ping(&self) -> bool {
        self.bytes.get(1) == Some(&PING)
    }
}

impl Wire {
    /// Connects the hosts at these addresses, and drops the packets that `drops` returns `true` for.
    pub(crate) fn between(
        one: SocketAddr,
        two: SocketAddr,
        drops: impl Fn(&Passing<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let sockets = [0, 1].map(|_| Arc::new(UdpSocket::bind(free_address()).unwrap()));
        let [for_one, for_two] = [0, 1].map(|end: usize| sockets[end].local_addr().unwrap());
        let (stop, drops) = (Arc::new(AtomicBool::new(false)), Arc::new(drops));
        let threads = [(0, 1, two), (1, 0, one)].map(|(from, to, destination)| {
            let (from_one, from, to) = (from == 0, sockets[from].clone(), sockets[to].clone());
            let (stop, drops) = (stop.clone(), drops.clone());
            thread::spawn(move || {
                let mut packet = vec![0; 65_536];
                while !stop.load(Ordering::SeqCst) {
                    // An earlier packet to a host that was not running causes an error here.
                    let Ok(length) = from.recv(&mut packet) else { continue };
                    let bytes = &packet[..length];
                    if !drops(&Passing { from_one, bytes }) {
                        let _ = to.send_to(bytes, destination);
                    }
                }
            })
        });
        Self { for_one, for_two, stop, threads: threads.into() }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind(free_address()).unwrap();
        for end in [self.for_one, self.for_two] {
            let _ = waker.send_to(b"stop", end);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The packet type of a ping.
const PING: u8 = 0x81;
