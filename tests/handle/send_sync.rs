//! `send_sync`: one message to one host, and the order of its checks (`docs/porting.md`,
//! "Checks of `send_sync`").

use std::sync::Arc;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::wait::receive;
use kronosnet::{Destinations, Error, Handle, HostId, MAX_MESSAGE, Verdict};
use nix::errno::Errno;

/// Installs a filter that sends everything to these hosts.
fn listed(handle: &Handle, hosts: &[u16]) {
    let hosts: Arc<[u16]> = hosts.into();
    handle
        .set_filter(move |message| {
            hosts.iter().for_each(|&host| message.add_destination(HostId::new(host)));
            Verdict::Destinations
        })
        .unwrap();
}

/// Returns the error number that a program ported from C would see.
fn errno(result: Result<kronosnet::SendReport, Error>) -> Errno {
    Errno::from_raw(result.unwrap_err().errno())
}

#[test]
fn checks_are_made_in_libknets_order() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (used, unused) = (channel(0), channel(1));
    let _datafd = cluster.create(1, 0);
    handle.set_forwarding(false).unwrap();

    // Each call fixes one more mistake than the one before.
    let too_long = vec![0; MAX_MESSAGE + 1];
    assert_eq!(errno(handle.send_sync(unused, &[])), Errno::EINVAL);
    assert_eq!(errno(handle.send_sync(unused, &too_long)), Errno::EINVAL);
    assert!(matches!(handle.send_sync(unused, b"x"), Err(Error::NoFilter)));
    assert_eq!(errno(handle.send_sync(unused, b"x")), Errno::ENETDOWN);
    handle.set_filter(|_| Verdict::Reject).unwrap();
    assert!(matches!(handle.send_sync(unused, b"x"), Err(Error::ChannelNotInUse(_))));
    assert_eq!(errno(handle.send_sync(unused, b"x")), Errno::EINVAL);
    assert!(matches!(handle.send_sync(used, b"x"), Err(Error::ForwardingOff)));
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::ECANCELED);
    handle.set_forwarding(true).unwrap();
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::EFAULT);
    listed(handle, &[]);
    assert!(matches!(handle.send_sync(used, b"x"), Err(Error::FilterNoDestination)));
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::EINVAL);
    listed(handle, &[8, 9]);
    let error = handle.send_sync(used, b"x").unwrap_err();
    assert!(matches!(error, Error::NotUnicast(Destinations::Hosts(2))), "{error}");
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::E2BIG);
    handle.set_filter(|_| Verdict::Broadcast).unwrap();
    let error = handle.send_sync(used, b"x").unwrap_err();
    assert!(matches!(error, Error::NotUnicast(Destinations::Everybody)), "{error}");
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::E2BIG);
    listed(handle, &[8]);
    assert!(matches!(handle.send_sync(used, b"x"), Err(Error::NoReachableHost { .. })));
    assert_eq!(errno(handle.send_sync(used, b"x")), Errno::EHOSTDOWN);
    listed(handle, &[2]);
    assert_eq!(handle.send_sync(used, b"x").unwrap().hosts, 1);
}

#[test]
fn a_message_of_maximum_length_reaches_its_host() {
    let cluster = Cluster::new(3, 1);
    let datafds: Vec<_> = (1..=3).map(|at| cluster.create(at, 0)).collect();
    listed(cluster.handle(1), &[3]);
    let longest = message(MAX_MESSAGE, 1);
    assert_eq!(cluster.handle(1).send_sync(channel(0), &longest).unwrap().hosts, 1);
    assert!(receive(&datafds[2]) == longest);
    // The other host has received nothing: this is its first message.
    cluster.handle(1).remove_filter().unwrap();
    datafds[0].send(b"to all").unwrap();
    assert_eq!(receive(&datafds[1]), b"to all");
}

#[test]
fn an_unreachable_host_is_an_error() {
    let cluster = Cluster::pair();
    let _datafd = cluster.create(1, 0);
    listed(cluster.handle(1), &[2]);
    cluster.link(1, 2, 0).disable().unwrap();
    let error = cluster.handle(1).send_sync(channel(0), b"x").unwrap_err();
    assert!(matches!(error, Error::NoReachableHost { .. }), "{error}");
}
