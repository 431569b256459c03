//! The thread that follows interfaces by their names, while it cannot.

use std::net::SocketAddr;

use knet_faults::{Call, Fault};
use knet_tests::cluster::link_id;
use knet_tests::log;
use knet_tests::network::{in_own_network, ip};
use knet_tests::wait::until;
use kronosnet::{Handle, HostId, InterfaceName, Link, LinkConfig, LinkZones};
use nix::errno::Errno;

use crate::scene::{Work, run};

/// How many sockets glibc tries to open for one look-up: one per family.
const SOCKETS: u64 = 3;

/// Returns a link whose address has the index of no interface, and the name of one.
fn misplaced(handle: &Handle) -> Link {
    let remote = "[fe80::2%77]:9".parse().unwrap();
    let zones = LinkZones { remote: Some("lo".parse().unwrap()), ..LinkZones::default() };
    let config = LinkConfig { zones, ..LinkConfig::udp(([0; 16], 0).into(), remote) };
    handle.add_host(HostId::new(2)).unwrap().add_link(link_id(0), config).unwrap()
}

fn scope(link: &Link) -> u32 {
    match link.remote_addr().unwrap() {
        Some(SocketAddr::V6(remote)) => remote.scope_id(),
        other => panic!("{other:?}"),
    }
}

fn index_of_lo() -> u32 {
    "lo".parse::<InterfaceName>().unwrap().index().unwrap()
}

#[test]
fn a_look_up_that_fails_for_now_is_repeated() {
    for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
        run(|faults| {
            let lo = index_of_lo();
            faults.add(Fault::new(Call::Socket, errno).of_thread("knet-zones").times(3 * SOCKETS));
            let handle = Handle::new(HostId::new(1)).unwrap();
            let link = misplaced(&handle);
            until("the link has its interface", || scope(&link) == lo);
            assert_eq!(faults.failed(), 3 * SOCKETS);
        });
    }
}

#[test]
fn a_look_up_that_fails_for_good_is_tried_less_and_less_often() {
    run(|faults| {
        let work = Work::of("knet-zones");
        faults.add(Fault::new(Call::Socket, Errno::EMFILE).of_thread("knet-zones"));
        let handle = Handle::new(HostId::new(1)).unwrap();
        let link = misplaced(&handle);
        until("it is tried again and again", || faults.failed() > 8 * SOCKETS);
        work.is_little();
        let (tries, seconds) = (faults.failed() / SOCKETS, work.seconds());
        assert!(tries < 12 + seconds, "{tries} tries in {seconds} s");
        assert_eq!(log::count(&["WARN", "cannot follow"]), 1, "{}", log::all());
        assert_eq!(scope(&link), 77);
    });
}

#[test]
fn changes_of_interfaces_that_cannot_be_read_are_tried_less_and_less_often() {
    let scenario = |()| {
        run(|faults| {
            let lo = index_of_lo();
            let handle = Handle::new(HostId::new(1)).unwrap();
            let link = misplaced(&handle);
            until("the link has its interface", || scope(&link) == lo);
            faults.add(Fault::new(Call::Recvfrom, Errno::EPERM).of_thread("knet-zones"));
            let work = Work::of("knet-zones");
            ip("link set lo down").unwrap();
            until("it fails again and again", || faults.failed() > 8);
            work.is_little();
            let (tries, seconds) = (faults.failed(), work.seconds());
            assert!(tries < 12 + seconds, "{tries} tries in {seconds} s");
            assert_eq!(log::count(&["WARN", "changes of interfaces"]), 1, "{}", log::all());

            let looked_up = faults.made("knet-zones", Call::Socket);
            until("names are looked up nevertheless", || {
                faults.made("knet-zones", Call::Socket) > looked_up
            });
        });
    };
    in_own_network(|| Ok(()), scenario);
}
