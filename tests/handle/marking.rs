//! DSCP and priority, read from received packets (`docs/porting.md`, "Packet marking").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use knet_tests::cluster::watch;
use kronosnet::{
    ChannelRequest, Datafd, DatafdSource, Dscp, DscpOutOfRange, Error, Handle, HostId, Link,
    LinkConfig, LinkId, PingTimers, Policy, QosMarking,
};
use nix::libc::EINVAL;

use crate::observer::{Observer, PING, PONG, PROBE, REPLY};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn dscp(number: u8) -> QosMarking {
    QosMarking { priority: false, dscp: Some(Dscp::try_from(number).unwrap()) }
}

/// Adds a link that pings an observer, with a timeout that outlasts the test.
fn link(handle: &Handle, id: u8, local: SocketAddr, observer: &Observer) -> Link {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(3600));
    let patient = PingTimers { interval, timeout, precision: 1 };
    watch(handle, 2, id, local, observer.addr(), patient)
}

/// Makes a host whose links share a local address and lead to these observers.
fn one_address(ip: IpAddr, observers: [&Observer; 2]) -> (Handle, Datafd, [Link; 2]) {
    let handle = Handle::new(HostId::new(1)).unwrap();
    handle.on_datafd_event(|_, _| {});
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    handle.set_forwarding(true).unwrap();
    // Probes are repeated, although nothing answers them.
    handle.set_mtu_interval(Duration::from_secs(1)).unwrap();
    let end = handle.bind((ip, 0).into()).unwrap();
    let links = [0, 1].map(|id| link(&handle, id, end.addr(), observers[usize::from(id)]));
    handle.host(HostId::new(2)).unwrap().set_policy(Policy::Active).unwrap();
    for (link, observer) in links.iter().zip(observers) {
        while !link.status().unwrap().state.is_up() {
            let _ = observer.next();
        }
    }
    (handle, datafd, links)
}

#[test]
fn a_change_applies_to_existing_and_to_new_links() {
    for ip in [V4, V6] {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let observers = [Observer::new(ip), Observer::new(ip)];
        // Different ports, hence different sockets.
        let ends = [(); 2].map(|()| handle.bind((ip, 0).into()).unwrap());
        let _first = link(&handle, 0, ends[0].addr(), &observers[0]);
        observers[0].expect(PING, 0, 0);
        handle.set_marking(dscp(46)).unwrap();
        assert_eq!(handle.marking(), dscp(46));
        observers[0].expect(PING, 46 << 2, 0);
        let _second = link(&handle, 1, ends[1].addr(), &observers[1]);
        observers[1].expect(PING, 46 << 2, 0);
        let third = Observer::new(ip);
        let _third = link(&handle, 2, (ip, 0).into(), &third);
        third.expect(PING, 46 << 2, 0);

        handle.set_marking(QosMarking { priority: true, dscp: None }).unwrap();
        // IPTOS_LOWDELAY, as libknet's TRAFFICHIPRIO.
        observers[0].expect(PING, 0x10, 0);
        handle.set_marking(QosMarking::default()).unwrap();
        observers[0].expect(PING, 0, 0);
    }
}

#[test]
fn a_link_may_have_its_own_marking() {
    for ip in [V4, V6] {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let observers = [Observer::new(ip), Observer::new(ip)];
        let ends = [(); 2].map(|()| handle.bind((ip, 0).into()).unwrap());
        let own = link(&handle, 0, ends[0].addr(), &observers[0]);
        let other = link(&handle, 1, ends[1].addr(), &observers[1]);
        handle.set_marking(dscp(46)).unwrap();
        own.set_marking(Some(dscp(10))).unwrap();
        assert_eq!((own.marking().unwrap(), other.marking().unwrap()), (Some(dscp(10)), None));
        observers[0].expect(PING, 10 << 2, 0);
        observers[1].expect(PING, 46 << 2, 0);
        handle.set_marking(dscp(8)).unwrap();
        observers[1].expect(PING, 8 << 2, 0);
        observers[0].expect(PING, 10 << 2, 0);
        own.set_marking(None).unwrap();
        observers[0].expect(PING, 8 << 2, 0);
    }
}

#[test]
fn links_with_one_local_address_keep_their_markings() {
    for ip in [V4, V6] {
        let observers = [Observer::new(ip), Observer::new(ip)];
        let (handle, datafd, links) = one_address(ip, [&observers[0], &observers[1]]);
        let ends = links.each_ref().map(|link| link.local_addr().unwrap());
        assert_eq!(ends[0], ends[1]);
        let unmarked = QosMarking::default();
        // The handle's, the links', and the classes that follow.
        let steps = [
            (unmarked, [None, None], [0, 0]),
            (unmarked, [Some(dscp(10)), Some(dscp(12))], [10 << 2, 12 << 2]),
            (dscp(46), [Some(dscp(10)), None], [10 << 2, 46 << 2]),
            (dscp(8), [Some(dscp(10)), None], [10 << 2, 8 << 2]),
            (dscp(8), [Some(unmarked), Some(dscp(12))], [0, 12 << 2]),
            (dscp(8), [None, Some(QosMarking { priority: true, dscp: None })], [8 << 2, 0x10]),
            (dscp(8), [None, None], [8 << 2, 8 << 2]),
        ];
        for (default, own, classes) in steps {
            handle.set_marking(default).unwrap();
            for (link, own) in links.iter().zip(own) {
                link.set_marking(own).unwrap();
                assert_eq!(link.marking().unwrap(), own);
            }
            observers.iter().for_each(Observer::drain);
            datafd.send(b"one packet").unwrap();
            // Begins a search for the MTU, which sends probes.
            handle.set_manual_mtu(Some(1500)).unwrap();
            handle.set_manual_mtu(None).unwrap();
            for (id, (observer, class)) in (0..).zip(observers.iter().zip(classes)) {
                assert_eq!(observer.classes_of_data(1), [class], "{default:?} {own:?} at {ip}");
                for kind in [PROBE, PING, PONG, REPLY] {
                    observer.expect(kind, class, id);
                }
            }
        }
    }
}

#[test]
fn links_with_both_addresses_in_common_keep_their_markings() {
    for ip in [V4, V6] {
        let observer = Observer::new(ip);
        let (handle, datafd, links) = one_address(ip, [&observer, &observer]);
        handle.set_manual_mtu(Some(1280)).unwrap();
        // The packets of one leave right behind those of the other, and all have the same length.
        let packet = handle.host(HostId::new(2)).unwrap().status().unwrap().data_mtu.unwrap();
        let message = vec![7; 9 * packet];
        for own in [[Some(10), None], [None, Some(12)], [Some(12), Some(10)], [None, None]] {
            for (link, own) in links.iter().zip(own) {
                link.set_marking(own.map(dscp)).unwrap();
            }
            observer.drain();
            datafd.send(&message).unwrap();
            let classes = observer.classes_of_data(18);
            let expected = own.map(|own| [own.unwrap_or(0) << 2; 9]).concat();
            assert_eq!(classes, expected, "{own:?} at {ip}");
        }
    }
}

#[test]
fn a_code_point_has_six_bits() {
    let error = Error::from(Dscp::try_from(100).unwrap_err());
    assert!(matches!(error, Error::Dscp(DscpOutOfRange(100))), "{error}");
    assert_eq!(error.errno(), EINVAL);
    assert_eq!(Dscp::try_from(40).map(Dscp::get), Ok(40));
    let handle = Handle::new(HostId::new(1)).unwrap();
    handle.set_marking(dscp(63)).unwrap();
    assert_eq!(handle.marking(), dscp(63));
}

#[test]
fn a_cleared_link_has_no_marking() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let observer = Observer::new(V4);
    let link = link(&handle, 0, (V4, 0).into(), &observer);
    link.disable().unwrap();
    link.clone().clear().unwrap();
    assert_eq!(link.set_marking(Some(dscp(1))).unwrap_err().errno(), EINVAL);
    assert_eq!(link.marking().unwrap_err().errno(), EINVAL);
}

#[test]
fn a_loopback_link_has_no_packets_to_mark() {
    let own = HostId::new(1);
    let handle = Handle::new(own).unwrap();
    let host = handle.add_host(own).unwrap();
    let link = host.add_link(LinkId::new(0).unwrap(), LinkConfig::loopback()).unwrap();
    assert_eq!(link.set_marking(Some(dscp(1))).unwrap_err().errno(), EINVAL);
    assert_eq!(link.marking().unwrap_err().errno(), EINVAL);
}
