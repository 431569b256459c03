//! Receiving from the sockets of links.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use knet_faults::{Call, Fault};
use knet_tests::cluster::{QUICK, watch};
use knet_tests::log;
use knet_tests::wait::until;
use kronosnet::{DownReason, LinkState};
use nix::errno::Errno;

use crate::scene::{Scene, Work, run};

/// What `recvmmsg(2)` may fail with: a filter of system calls, a lack of memory, a security module, a
/// descriptor that something has closed, an ICMP error that does not go away, and no reason at all.
const ERRORS: [Errno; 9] = [
    Errno::EPERM,
    Errno::ENOSYS,
    Errno::EACCES,
    Errno::ENOMEM,
    Errno::ENOBUFS,
    Errno::EBADF,
    Errno::EIO,
    Errno::ECONNREFUSED,
    Errno::EAGAIN,
];

#[test]
fn a_socket_that_cannot_be_received_from_is_tried_less_and_less_often() {
    for errno in [Errno::EPERM, Errno::ECONNREFUSED] {
        run(|faults| {
            let mut scene = Scene::new();
            let link = scene.impatient_link();
            let work = Work::of("knet-rx");
            faults.add(Fault::new(Call::Recvmmsg, errno).on(scene.socket(0)));
            let refused = LinkState::Down(DownReason::ReceiveError { errno: errno as i32 });
            until("the link has the reason", || link.status().unwrap().state == refused);
            // The other link goes on, both ways.
            assert!(scene.cluster.link(2, 1, 1).status().unwrap().state.is_up());
            scene.is_heard();
            scene.sends();
            work.is_little();
            // Pauses that double up to a second, and at first a few tries without one.
            let (tries, seconds) = (faults.failed(), work.seconds());
            assert!(tries < 30 + seconds, "{errno}: {tries} tries in {seconds} s");
            assert_eq!(log::count(&["WARN", "receiving from a socket fails"]), 1, "{}", log::all());

            faults.clear();
            until("the link is up again", || link.status().unwrap().state.is_up());
            assert_eq!(log::count(&["receiving from a socket works again"]), 1);
            scene.sends();
        });
    }
}

/// The kernel does that for datagrams with a wrong checksum, so anybody can cause it.
#[test]
fn a_socket_that_is_ready_and_has_nothing_costs_little_and_is_tried_again_soon() {
    run(|faults| {
        let mut scene = Scene::new();
        let work = Work::of("knet-rx");
        faults.add(Fault::new(Call::Recvmmsg, Errno::EAGAIN).on(scene.socket(0)));
        until("it has failed", || faults.failed() > 10);
        work.is_little();
        // A pause of a millisecond each time.
        let (tries, seconds) = (faults.failed(), work.seconds());
        assert!(tries < 1100 * (1 + seconds), "{tries} tries in {seconds} s");
        let text = ["WARN", "is reported as ready and has nothing"];
        assert_eq!(log::count(&text), 1, "{}", log::all());
        faults.clear();
        (0..10).for_each(|_| scene.sends());
    });
}

#[test]
fn a_receive_that_fails_once_changes_nothing() {
    run(|faults| {
        let mut scene = Scene::new();
        for (number, errno) in ERRORS.into_iter().enumerate() {
            faults.add(Fault::new(Call::Recvmmsg, errno).on(scene.socket(0)).times(1));
            until("it has failed", || faults.failed() > number as u64);
            (0..10).for_each(|_| scene.sends());
            scene.is_up_since_it_began(errno);
        }
    });
}

#[test]
fn an_error_queue_that_cannot_be_read_costs_little_and_takes_no_link_down() {
    for errno in [Errno::EPERM, Errno::ENOSYS] {
        run(|faults| {
            let mut scene = Scene::new();
            // A port that nobody has: each ping to it leaves an error in the queue.
            let local = scene.cluster.link(2, 1, 0).local_addr().unwrap();
            faults.add(Fault::new(Call::RecvmsgErrorQueue, errno).on(scene.socket(0)));
            watch(scene.cluster.handle(2), 3, 0, local, deserted(), QUICK);
            until("reading the errors has failed", || faults.failed() > 10);
            let (work, tries) = (Work::of("knet-rx"), faults.failed());
            for _ in 0..20 {
                scene.sends();
            }
            work.is_little();
            let tries = faults.failed() - tries;
            assert!(tries < 100 * (1 + work.seconds()), "{errno}: {tries} tries");
            assert_eq!(log::count(&["WARN", "error queue of a socket fails"]), 1, "{}", log::all());
            scene.is_up_since_it_began(errno);

            faults.clear();
            let refused = LinkState::Down(DownReason::TransportError { errno: 111 });
            let link = scene.cluster.link(2, 3, 0);
            until("the errors are read", || link.status().unwrap().state == refused);
        });
    }
}

/// Returns an address where nothing listens.
fn deserted() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    // A socket that is connected to itself accepts datagrams from no other, and keeps its port.
    socket.connect(address).unwrap();
    Box::leak(Box::new(socket));
    address
}
