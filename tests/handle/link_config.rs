//! Links that are added with settings: all of them apply, or there is no link.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use knet_tests::cluster::link_id;
use kronosnet::{
    AclAction, AclEntry, AclError, Dscp, Error, Handle, Host, HostId, LinkConfig, LinkEnds,
    LinkError, PingTimers, PingTimersError, QosMarking,
};
use nix::libc::EINVAL;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
const TIMERS: PingTimers = PingTimers {
    interval: Duration::from_millis(300),
    timeout: Duration::from_millis(700),
    precision: 10,
};

fn host() -> Host {
    Handle::new(HostId::new(1)).unwrap().add_host(HostId::new(2)).unwrap()
}

fn expedited() -> Option<QosMarking> {
    Some(QosMarking { priority: true, dscp: Some(Dscp::try_from(46).unwrap()) })
}

#[test]
fn a_link_has_the_settings_that_it_was_added_with() {
    let host = host();
    let config = LinkConfig {
        ping_timers: TIMERS,
        pong_count: 3,
        priority: 200,
        marking: expedited(),
        ..LinkConfig::udp(ANY, REMOTE)
    };
    let link = host.add_link(link_id(0), config.clone()).unwrap();
    assert_eq!(link.ping_timers().unwrap(), TIMERS);
    assert_eq!((link.pong_count().unwrap(), link.priority().unwrap()), (3, 200));
    assert_eq!(link.marking().unwrap(), expedited());
    assert!(!link.is_enabled().unwrap());

    let ends = LinkEnds::Udp { local: link.local_addr().unwrap(), remote: REMOTE };
    assert_eq!(link.config().unwrap(), LinkConfig { ends, ..config });
}

#[test]
fn the_settings_of_a_link_make_another_like_it() {
    let host = host();
    let acl = [AclAction::Reject, AclAction::Accept]
        .map(|action| AclEntry::address(action, Ipv4Addr::new(10, 0, 0, action as u8).into()));
    let link = host.add_link(link_id(0), LinkConfig::udp_dynamic(ANY)).unwrap();
    link.set_ping_timers(TIMERS).unwrap();
    link.set_pong_count(9).unwrap();
    link.set_priority(7).unwrap();
    link.set_marking(expedited()).unwrap();
    for entry in acl {
        link.add_acl_entry(entry).unwrap();
    }
    let config = link.config().unwrap();
    link.clear().unwrap();
    let again = host.add_link(link_id(3), config.clone()).unwrap();
    assert_eq!(again.config().unwrap(), config);
    assert_eq!(again.acl().unwrap(), acl, "in the same order");
}

#[test]
fn a_setting_out_of_range_is_an_error_and_leaves_neither_link_nor_socket() {
    let host = host();
    let accept = |ip: [u8; 4]| AclEntry::address(AclAction::Accept, ip.into());
    let local = UdpSocket::bind(ANY).unwrap().local_addr().unwrap();
    let udp = || LinkConfig::udp(local, REMOTE);
    let dynamic = || LinkConfig::udp_dynamic(local);
    let timeout = PingTimers::MIN_TIMEOUT - Duration::from_millis(1);
    let refused = |config: LinkConfig| {
        let error = host.add_link(link_id(0), config).unwrap_err();
        assert_eq!(error.errno(), EINVAL, "{error}");
        assert!(host.links().unwrap().is_empty(), "{error}");
        UdpSocket::bind(local).expect("the socket is closed");
        error
    };

    let ping_timers = PingTimers { timeout, ..TIMERS };
    assert!(matches!(
        refused(LinkConfig { ping_timers, ..udp() }),
        Error::Link(LinkError::PingTimers(PingTimersError::Timeout { .. }))
    ));
    assert!(matches!(
        refused(LinkConfig { pong_count: 0, ..udp() }),
        Error::Link(LinkError::NoPongs)
    ));
    let acl = vec![accept([10, 0, 0, 1])];
    assert!(matches!(
        refused(LinkConfig { acl, ..udp() }),
        Error::Acl(AclError::NotDynamic { .. })
    ));
    let acl = vec![accept([10, 0, 0, 1]), AclEntry::address(AclAction::Accept, [0; 16].into())];
    assert!(matches!(
        refused(LinkConfig { acl, ..dynamic() }),
        Error::Acl(AclError::OtherFamily(_))
    ));

    host.add_link(link_id(0), udp()).expect("the id is free");
}

#[test]
fn a_loopback_link_has_neither_marking_nor_access_list() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let host = handle.add_host(handle.host_id()).unwrap();
    let config = LinkConfig { marking: expedited(), ..LinkConfig::loopback() };
    let error = host.add_link(link_id(0), config).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::NoAddress { .. })), "{error}");
    let acl = vec![AclEntry::address(AclAction::Accept, Ipv4Addr::LOCALHOST.into())];
    let error =
        host.add_link(link_id(0), LinkConfig { acl, ..LinkConfig::loopback() }).unwrap_err();
    assert!(matches!(error, Error::Acl(AclError::NotDynamic { .. })), "{error}");
    assert!(host.links().unwrap().is_empty());
}
