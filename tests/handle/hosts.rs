//! Hosts: lifecycle, names, policies and status (`docs/porting.md`, "Host errors").

use std::time::Duration;

use knet_tests::cluster::{Cluster, link_id, set_enabled};
use kronosnet::{DownReason, Error, Handle, HostError, HostId, LinkConfig, LinkState, Policy};
use nix::libc::{EBUSY, EEXIST, EINVAL, ENOENT, ETIMEDOUT};

fn handle() -> Handle {
    Handle::new(HostId::new(1)).unwrap()
}

fn id(number: u16) -> HostId {
    HostId::new(number)
}

#[test]
fn hosts_are_added_listed_and_removed() {
    let handle = handle();
    assert!(handle.hosts().is_empty());
    // All ids are valid, including our own.
    for number in [7, 0, u16::MAX, 1] {
        assert_eq!(handle.add_host(id(number)).unwrap().id(), id(number));
    }
    assert_eq!(handle.hosts(), [id(0), id(1), id(7), id(u16::MAX)]);
    handle.remove_host(id(7)).unwrap();
    handle.host(id(0)).unwrap().remove().unwrap();
    assert_eq!(handle.hosts(), [id(1), id(u16::MAX)]);
    handle.add_host(id(7)).unwrap();
}

#[test]
fn a_host_is_added_once() {
    let handle = handle();
    handle.add_host(id(2)).unwrap();
    let error = handle.add_host(id(2)).unwrap_err();
    assert!(matches!(&error, Error::Host(HostError::Exists(host)) if *host == id(2)), "{error}");
    assert_eq!(error.errno(), EEXIST);
}

#[test]
fn a_host_with_disabled_links_cannot_be_removed() {
    let handle = handle();
    let host = handle.add_host(id(2)).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let link = host.add_link(link_id(3), LinkConfig::udp(any, ([127, 0, 0, 1], 9).into())).unwrap();
    for enabled in [true, false] {
        set_enabled(&link, enabled);
        let error = handle.remove_host(id(2)).unwrap_err();
        let busy = matches!(error, Error::Host(HostError::HasLinks { links: 1, .. }));
        assert!(busy, "{error}");
        assert_eq!(error.errno(), EBUSY);
    }
    link.clear().unwrap();
    handle.remove_host(id(2)).unwrap();
}

#[test]
fn a_host_is_named_after_its_id_by_default() {
    let handle = handle();
    let two = handle.add_host(id(2)).unwrap();
    assert_eq!(two.name().unwrap(), "2");
    assert_eq!(handle.host_by_name("2").unwrap().id(), id(2));
    for name in ["two", " ", "Two", &"x".repeat(255)] {
        two.set_name(name).unwrap();
        assert_eq!(two.name().unwrap(), name);
        assert_eq!(handle.host_by_name(name).unwrap().id(), id(2));
    }
    // Its current name, and its default name.
    two.set_name(&"x".repeat(255)).unwrap();
    two.set_name("2").unwrap();
    assert_eq!(handle.host_by_name("2").unwrap().id(), id(2));
    let error = handle.host_by_name("two").unwrap_err();
    assert!(matches!(error, Error::Host(HostError::NoSuchName(_))), "{error}");
    assert_eq!(error.errno(), ENOENT);
}

#[test]
fn a_name_belongs_to_one_host() {
    let handle = handle();
    let two = handle.add_host(id(2)).unwrap();
    let three = handle.add_host(id(3)).unwrap();
    two.set_name("somebody").unwrap();
    // The last is the default name of a host that does not exist yet.
    for name in ["somebody", "2", "4"] {
        let error = three.set_name(name).unwrap_err();
        assert!(matches!(error, Error::Host(HostError::NameTaken { .. })), "{name}: {error}");
        assert_eq!(error.errno(), EEXIST);
    }
    let error = three.set_name(&"x".repeat(256)).unwrap_err();
    assert!(matches!(error, Error::Host(HostError::NameTooLong { length: 256 })), "{error}");
    assert_eq!(error.errno(), EINVAL);
    assert_eq!(three.name().unwrap(), "3");

    two.remove().unwrap();
    three.set_name("somebody").unwrap();
}

#[test]
fn a_name_that_c_cannot_express_is_refused() {
    let handle = handle();
    let two = handle.add_host(id(2)).unwrap();
    let error = two.set_name("").unwrap_err();
    assert!(matches!(error, Error::Host(HostError::NameEmpty)), "{error}");
    assert_eq!(error.errno(), EINVAL);
    for name in ["\0", "a\nb\0", "a\0b"] {
        let error = two.set_name(name).unwrap_err();
        let named =
            matches!(&error, Error::Host(HostError::NameWithNul { name: it }) if it == name);
        assert!(named, "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    assert_eq!(two.name().unwrap(), "2");
}

#[test]
fn the_default_policy_is_passive() {
    let handle = handle();
    let host = handle.add_host(id(2)).unwrap();
    assert_eq!(host.policy().unwrap(), Policy::Passive);
    for policy in [Policy::Active, Policy::RoundRobin, Policy::Passive] {
        host.set_policy(policy).unwrap();
        assert_eq!(host.policy().unwrap(), policy);
        assert_eq!(host.status().unwrap().policy, policy);
    }
}

#[test]
fn an_unknown_host_is_an_error_of_every_call() {
    let handle = handle();
    let host = handle.add_host(id(2)).unwrap();
    handle.remove_host(id(2)).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let errors = [
        handle.host(id(2)).unwrap_err(),
        handle.remove_host(id(2)).unwrap_err(),
        host.status().unwrap_err(),
        host.name().unwrap_err(),
        host.set_name("name").unwrap_err(),
        host.policy().unwrap_err(),
        host.set_policy(Policy::Active).unwrap_err(),
        host.is_reachable().unwrap_err(),
        host.wait_until_reachable(Duration::from_secs(60)).unwrap_err(),
        host.links().unwrap_err(),
        host.link_states().unwrap_err(),
        host.link(link_id(0)).unwrap_err(),
        host.add_link(link_id(0), LinkConfig::udp(any, any)).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.errno(), EINVAL, "{error}");
        assert_eq!(error.to_string(), "host 2 is not known: add it first");
    }
}

#[test]
fn the_status_shows_the_links_that_carry_data() {
    let cluster = Cluster::new(2, 3);
    let host = cluster.peer(1, 2);
    let status = host.status().unwrap();
    assert_eq!((status.host, status.name.as_str(), status.reachable), (id(2), "2", true));
    assert_eq!(status.active_links, [link_id(0)]);
    assert_eq!(status.data_mtu, Some(522));
    host.set_policy(Policy::Active).unwrap();
    assert_eq!(host.status().unwrap().active_links, [0, 1, 2].map(link_id));
    host.set_policy(Policy::Passive).unwrap();
    cluster.link(1, 2, 2).set_priority(1).unwrap();
    assert_eq!(host.status().unwrap().active_links, [link_id(2)]);
}

#[test]
fn a_timed_out_wait_reports_the_state_of_each_link() {
    let handle = handle();
    let host = handle.add_host(id(2)).unwrap();
    let error = host.wait_until_reachable(Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "host 2 is not reachable: it has no links");

    // A peer that does not answer.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let remote = silent.local_addr().unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    for number in [0, 5] {
        host.add_link(link_id(number), LinkConfig::udp(any, remote)).unwrap();
    }
    host.link(link_id(5)).unwrap().enable().unwrap();
    let error = host.wait_until_reachable(Duration::from_millis(50)).unwrap_err();
    let states = [
        (link_id(0), LinkState::Down(DownReason::Disabled)),
        (link_id(5), LinkState::Down(DownReason::NoPongYet)),
    ];
    let listed = matches!(&error, Error::NotReachable { host, links }
        if *host == id(2) && links[..] == states);
    assert!(listed, "{error:?}");
    assert_eq!(error.errno(), ETIMEDOUT);
    let text = error.to_string();
    assert_eq!(
        text,
        "host 2 is not reachable: link 0 is down: disabled; link 5 is down: not enough pongs yet"
    );
}
