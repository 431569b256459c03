//! Access lists on real sockets: which peers are accepted, and which edits are rejected
//! (`docs/protocol.md`, "Access lists").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use knet_tests::cluster::{QUICK, channel, link_id, node, wait_up, watch};
use knet_tests::wait::until;
use kronosnet::{
    AclAction, AclEntry, AclEntryError, AclError, Datafd, Error, Handle, HostId, Link, LinkConfig,
    PingTimers,
};
use nix::libc::{EEXIST, EINVAL, ENOENT};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The shortest timeout, so that links go down quickly.
const IMPATIENT: PingTimers = PingTimers { timeout: PingTimers::MIN_TIMEOUT, ..QUICK };

/// Adds host 1's dynamic link to host 2, whose list is empty.
fn dynamic(handle: &Handle, ip: IpAddr) -> Link {
    let host = handle.add_host(HostId::new(2)).unwrap();
    let config = LinkConfig::udp_dynamic(SocketAddr::new(ip, 0));
    let link = host.add_link(link_id(0), config).unwrap();
    link.set_ping_timers(IMPATIENT).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    link
}

fn accept(ip: IpAddr) -> AclEntry {
    AclEntry::address(AclAction::Accept, ip)
}

/// The messages of host 2 that host 1 has received.
struct Listener {
    sender: Handle,
    _sends: Datafd,
    receives: Datafd,
    heard: Vec<String>,
}

impl Listener {
    /// Sends a message; host 1 may or may not get it.
    fn send(&self, message: &str) {
        let _ = self.sender.send(channel(0), message.as_bytes());
    }

    fn receive(&mut self) {
        let mut buffer = [0; 64];
        while let Ok(length) = self.receives.recv(&mut buffer) {
            self.heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    }

    /// Repeats a message until it arrives.
    fn until_received(&mut self, message: &str) {
        until("a message arrives", || {
            self.send(message);
            self.receive();
            self.heard.iter().any(|heard| heard == message)
        });
    }
}

/// Plays the scenario of libknet's own test `fun_acl_check`.
#[test]
fn a_peer_that_the_list_rejects_is_cut_off_until_the_lists_are_off() {
    let ((one, receives), (two, _sends)) = (node(1), node(2));
    let mut listener = Listener { sender: two.clone(), _sends, receives, heard: Vec::new() };
    one.set_access_lists(false).unwrap();
    assert!(!one.access_lists());
    let link = dynamic(&one, HERE);
    let end = two.bind(SocketAddr::new(HERE, 0)).unwrap();
    watch(&two, 1, 0, end.addr(), link.local_addr().unwrap(), IMPATIENT);
    wait_up(&link);
    listener.until_received("1: the lists are off");

    let mask = IpAddr::from([255, 255, 255, 0]);
    let rejects = [
        AclEntry::address(AclAction::Reject, HERE),
        AclEntry::mask(AclAction::Reject, [127, 0, 0, 0].into(), mask).unwrap(),
        AclEntry::range(AclAction::Reject, [127, 0, 0, 0].into(), HERE).unwrap(),
    ];
    link.add_acl_entry(accept(HERE)).unwrap();
    for (number, reject) in (2..).zip(rejects) {
        link.insert_acl_entry(0, reject).unwrap();
        assert_eq!(link.acl().unwrap(), [reject, accept(HERE)]);
        let refused = link.status().unwrap().stats.rx_rejected;
        one.set_access_lists(true).unwrap();
        listener.receive();
        // For a while, host 2 still considers host 1 reachable.
        listener.send("must not arrive");
        until("host 1 loses the link", || !link.status().unwrap().state.is_up());
        until("host 2's pings are refused", || {
            link.status().unwrap().stats.rx_rejected > refused + 3
        });
        listener.send("must not arrive");
        assert!(!link.status().unwrap().peer_known);

        one.set_access_lists(false).unwrap();
        wait_up(&link);
        listener.until_received(&format!("{number}: the lists are off again"));
        link.remove_acl_entry(reject).unwrap();
    }
    one.set_access_lists(true).unwrap();
    listener.until_received("5: the list accepts");
    assert!(one.drop_stats().access_list >= 12);
    listener.heard.dedup();
    assert_eq!(listener.heard.len(), 5, "{:?}", listener.heard);
}

#[test]
fn a_dynamic_link_accepts_nobody_until_its_list_has_an_entry() {
    for ip in [HERE, Ipv6Addr::LOCALHOST.into()] {
        let ((one, _receives), (two, _sends)) = (node(1), node(2));
        assert!(one.access_lists(), "on at first");
        let link = dynamic(&one, ip);
        assert!(link.acl().unwrap().is_empty());
        let end = two.bind(SocketAddr::new(ip, 0)).unwrap();
        watch(&two, 1, 0, end.addr(), link.local_addr().unwrap(), QUICK);
        until("pings are refused", || link.status().unwrap().stats.rx_rejected >= 3);
        assert_eq!(link.remote_addr().unwrap(), None);
        assert_eq!(link.status().unwrap().stats.tx_pong_packets, 0);
        // In libknet 1.35 such an entry at the first position counts as an empty list.
        link.add_acl_entry(accept(ip)).unwrap();
        wait_up(&link);
        assert_eq!(link.remote_addr().unwrap(), Some(end.addr()));
    }
}

#[test]
fn entries_are_inserted_at_their_position() {
    let (one, _datafd) = node(1);
    let link = dynamic(&one, HERE);
    let entry = |n: u8| accept([10, 0, 0, n].into());
    for n in 0..5 {
        link.add_acl_entry(entry(n)).unwrap();
    }
    for (index, n) in [(1, 11), (0, 10), (6, 16), (99, 99), (usize::MAX, 100)] {
        link.insert_acl_entry(index, entry(n)).unwrap();
    }
    let expected = [10, 0, 11, 1, 2, 3, 16, 4, 99, 100].map(entry);
    assert_eq!(link.acl().unwrap(), expected);
    for n in [0, 1, 2, 3, 4] {
        link.remove_acl_entry(entry(n)).unwrap();
    }
    assert_eq!(link.acl().unwrap(), [10, 11, 16, 99, 100].map(entry));
    link.clear_acl().unwrap();
    assert!(link.acl().unwrap().is_empty());
}

#[test]
fn invalid_edits_are_errors() {
    let (one, _datafd) = node(1);
    let link = dynamic(&one, HERE);
    link.add_acl_entry(accept(HERE)).unwrap();
    let six = accept(Ipv6Addr::LOCALHOST.into());
    let absent = AclEntry::address(AclAction::Reject, HERE);
    for (answer, errno, text) in [
        (
            link.add_acl_entry(accept(HERE)),
            EEXIST,
            "\"accept 127.0.0.1\" is listed already: remove it first to move it",
        ),
        (
            link.remove_acl_entry(absent),
            ENOENT,
            "\"reject 127.0.0.1\" is not listed: remove an entry of the list",
        ),
        (
            link.add_acl_entry(six),
            EINVAL,
            "\"accept ::1\" is of the other address family than the link: use the link's",
        ),
    ] {
        let error = answer.unwrap_err();
        assert_eq!((error.errno(), error.to_string().as_str()), (errno, text));
    }
    let mixed = AclEntry::range(AclAction::Accept, HERE, Ipv6Addr::LOCALHOST.into()).unwrap_err();
    assert!(matches!(mixed, AclEntryError::MixedFamilies { .. }));
    assert_eq!(Error::from(mixed).errno(), EINVAL);

    // Neither a static nor an unconfigured link has a list.
    let host = one.host(HostId::new(2)).unwrap();
    let config = LinkConfig::udp(([127, 0, 0, 2], 0).into(), ([127, 0, 0, 3], 9).into());
    let fixed = host.add_link(link_id(1), config).unwrap();
    let edits = |link: &Link| {
        [
            link.add_acl_entry(accept(HERE)).unwrap_err(),
            link.insert_acl_entry(0, accept(HERE)).unwrap_err(),
            link.remove_acl_entry(accept(HERE)).unwrap_err(),
            link.clear_acl().unwrap_err(),
        ]
    };
    for error in edits(&fixed) {
        assert!(matches!(error, Error::Acl(AclError::NotDynamic { .. })), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    fixed.clone().clear().unwrap();
    for error in edits(&fixed) {
        assert_eq!(error.errno(), EINVAL);
        assert_eq!(error.to_string(), "link 1 of host 2 is not configured: add it first");
    }
}
