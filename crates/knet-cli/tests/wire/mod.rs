//! A wire between two hosts that loses what a test wants it to lose.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::process::free_address;

/// Passes packets between two addresses until it is dropped.
pub(crate) struct Wire {
    /// Where the first host sends what is for the second, and the other way round.
    pub(crate) for_one: SocketAddr,
    pub(crate) for_two: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A packet on the wire.
pub(crate) struct Passing<'a> {
    /// Whether it goes from the first host to the second.
    pub(crate) from_one: bool,
    /// What UDP carries.
    pub(crate) bytes: &'a [u8],
}

impl Passing<'_> {
    /// Whether it is a ping: its second byte says so.
    pub(crate) fn is_ping(&self) -> bool {
        self.bytes.get(1) == Some(&PING)
    }
}

impl Wire {
    /// Connects the hosts at these addresses, but for what `drops` says is lost.
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
                    // A host that is not there yet is an error of the packet before.
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

/// The type of a ping on the wire.
const PING: u8 = 0x81;
