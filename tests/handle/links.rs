//! Links: lifecycle and settings (`docs/porting.md`, "Link errors").

use std::net::SocketAddr;
use std::time::Duration;

use knet_tests::cluster::{Cluster, channel, link_id, wait_up};
use knet_tests::wait::{next_like, receive, until};
use kronosnet::{
    AddressProblem, DownReason, Error, Handle, Host, HostId, InvalidLinkId, LinkConfig, LinkError,
    LinkEvent, LinkId, LinkState, LocalSocket, PingTimers, PingTimersError,
};
use nix::libc::{EBUSY, EINVAL, ENOSYS};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn host() -> Host {
    Handle::new(HostId::new(1)).unwrap().add_host(HostId::new(2)).unwrap()
}

fn config() -> LinkConfig {
    LinkConfig::udp(ANY, ([127, 0, 0, 1], 9).into())
}

#[test]
fn links_are_configured_listed_and_cleared() {
    let host = host();
    assert!(host.links().unwrap().is_empty());
    for number in [7, 0, 3] {
        let link = host.add_link(link_id(number), config()).unwrap();
        assert_eq!((link.host_id(), link.id()), (HostId::new(2), link_id(number)));
    }
    assert_eq!(host.links().unwrap(), [0, 3, 7].map(link_id));
    host.link(link_id(3)).unwrap().clear().unwrap();
    assert_eq!(host.links().unwrap(), [0, 7].map(link_id));
    let error = host.link(link_id(3)).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::NotConfigured { .. })), "{error}");
    assert_eq!(error.errno(), EINVAL);
}

#[test]
fn a_host_has_at_most_eight_links() {
    for number in [8, 9, u8::MAX] {
        let error = Error::from(LinkId::new(number).unwrap_err());
        assert!(matches!(error, Error::InvalidLinkId(InvalidLinkId(at)) if at == number));
        assert_eq!(error.errno(), EINVAL);
    }
    let host = host();
    for link in LinkId::ALL {
        host.add_link(link, config()).unwrap();
    }
}

#[test]
fn a_configured_link_must_be_cleared_before_it_is_reconfigured() {
    let host = host();
    let link = host.add_link(link_id(0), config()).unwrap();
    for enabled in [false, true] {
        if enabled {
            link.enable().unwrap();
        }
        let error = host.add_link(link_id(0), config()).unwrap_err();
        assert!(matches!(error, Error::Link(LinkError::Configured { .. })), "{error}");
        assert_eq!(error.errno(), EBUSY);
    }
    let error = link.clone().clear().unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::Enabled { .. })), "{error}");
    assert_eq!(error.errno(), EBUSY);

    link.disable().unwrap();
    link.set_priority(9).unwrap();
    link.clear().unwrap();
    let link = host.add_link(link_id(0), config()).unwrap();
    assert_eq!(link.priority().unwrap(), 0, "no setting of the old link is left");
}

#[test]
fn both_addresses_of_a_link_have_the_same_family() {
    let host = host();
    let v6: SocketAddr = "[::1]:9".parse().unwrap();
    for (local, remote) in [(ANY, v6), ("[::1]:0".parse().unwrap(), ANY)] {
        let error = host.add_link(link_id(0), LinkConfig::udp(local, remote)).unwrap_err();
        assert!(matches!(error, Error::MixedFamilies { .. }), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    assert!(host.links().unwrap().is_empty());
}

#[test]
fn a_link_has_libknets_defaults() {
    let host = host();
    let link = host.add_link(link_id(0), config()).unwrap();
    let status = link.status().unwrap();
    assert!(!status.enabled && !link.is_enabled().unwrap());
    assert_eq!(status.state, LinkState::Down(DownReason::Disabled));
    assert_eq!((status.priority, link.priority().unwrap()), (0, 0));
    assert_eq!((status.pong_count, link.pong_count().unwrap()), (5, 5));
    assert_eq!(link.ping_timers().unwrap(), PingTimers::default());
    assert_eq!(status.ping_timers.interval, Duration::from_secs(1));
    assert_eq!(status.ping_timers.timeout, Duration::from_secs(2));
    assert_eq!(status.ping_timers.precision, 2048);
    assert_eq!((status.last_pong, status.latency, status.latency_samples), (None, None, 0));
    assert_eq!(status.stats, kronosnet::LinkStats::default());
    assert_eq!(link.remote_addr().unwrap(), config().remote());
    let local = link.local_addr().unwrap();
    assert_eq!(link.config().unwrap(), LinkConfig::udp(local, config().remote().unwrap()));
    assert_ne!(link.local_addr().unwrap().port(), 0, "the kernel picked a port");
}

#[test]
fn settings_are_kept() {
    let host = host();
    let link = host.add_link(link_id(0), config()).unwrap();
    let timers = PingTimers {
        interval: Duration::from_millis(700),
        timeout: Duration::from_millis(900),
        precision: 7,
    };
    link.set_ping_timers(timers).unwrap();
    link.set_pong_count(3).unwrap();
    link.set_priority(255).unwrap();
    assert_eq!(link.ping_timers().unwrap(), timers);
    assert_eq!(link.pong_count().unwrap(), 3);
    assert_eq!(link.priority().unwrap(), 255);
}

#[test]
fn settings_out_of_range_change_nothing() {
    let host = host();
    let link = host.add_link(link_id(0), config()).unwrap();
    let default = PingTimers::default();
    let ms = Duration::from_millis;
    let interval = Duration::ZERO;
    let short = PingTimersError::Interval { interval };
    let timeout = |timeout| PingTimersError::Timeout { timeout };
    for (timers, wrong, errno) in [
        (PingTimers { interval, ..default }, short, EINVAL),
        (PingTimers { timeout: Duration::ZERO, ..default }, PingTimersError::NoTimeout, ENOSYS),
        (PingTimers { timeout: ms(199), ..default }, timeout(ms(199)), EINVAL),
        (PingTimers { timeout: ms(100), ..default }, timeout(ms(100)), EINVAL),
        (PingTimers { precision: 0, ..default }, PingTimersError::Precision, EINVAL),
        (
            PingTimers { interval: ms(3000), timeout: ms(300), ..default },
            PingTimersError::TimeoutWithinInterval { interval: ms(3000), timeout: ms(300) },
            EINVAL,
        ),
        (
            PingTimers { timeout: default.interval, ..default },
            PingTimersError::TimeoutWithinInterval {
                interval: default.interval,
                timeout: default.interval,
            },
            EINVAL,
        ),
        // The order of the checks is libknet's.
        (PingTimers { interval, timeout: Duration::ZERO, precision: 0 }, short, EINVAL),
        (
            PingTimers { timeout: ms(0), precision: 0, ..default },
            PingTimersError::NoTimeout,
            ENOSYS,
        ),
    ] {
        let error = link.set_ping_timers(timers).unwrap_err();
        let named = matches!(&error, Error::Link(LinkError::PingTimers(given)) if *given == wrong);
        assert!(named, "{timers:?}: {error}");
        assert_eq!(error.errno(), errno, "{timers:?}");
    }
    let least = PingTimers { interval: ms(199), timeout: ms(200), ..default };
    link.set_ping_timers(least).unwrap();

    let error = link.set_pong_count(0).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::NoPongs)), "{error}");
    assert_eq!(error.errno(), EINVAL);
    assert_eq!(link.pong_count().unwrap(), 5);
}

#[test]
fn addresses_with_which_a_link_can_never_be_up_are_refused() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let host = handle.add_host(HostId::new(2)).unwrap();
    let (own, any) = (bind(&handle, "127.0.0.1:0"), bind(&handle, "0.0.0.0:0"));
    let own_six = bind(&handle, "[::1]:0");
    let at = |ip: &str, port: u16| SocketAddr::new(ip.parse().unwrap(), port);
    let (local, local_six) = (at("127.0.0.1", 0), at("::1", 0));
    let problem_of = |local, remote, dynamic: bool| {
        let config =
            if dynamic { LinkConfig::udp_dynamic(local) } else { LinkConfig::udp(local, remote) };
        match host.add_link(link_id(0), config) {
            Err(Error::Link(LinkError::UnusableAddress { address, problem })) => {
                Some((address, problem))
            }
            other => panic!("{other:?}"),
        }
    };
    for (local, remote, problem) in [
        (local, at("0.0.0.0", 9), AddressProblem::Unspecified),
        (local_six, at("::", 9), AddressProblem::Unspecified),
        (local, at("127.0.0.1", 0), AddressProblem::NoPort),
        (local, at("224.0.0.1", 9), AddressProblem::Multicast),
        (local_six, at("ff02::1", 9), AddressProblem::Multicast),
        (local, at("255.255.255.255", 9), AddressProblem::Broadcast),
        (local, own.addr(), AddressProblem::OwnSocket),
        (own.addr(), own.addr(), AddressProblem::OwnSocket),
        (local_six, own_six.addr(), AddressProblem::OwnSocket),
        // A socket that is bound to all addresses of the machine has this one, too.
        (local, at("127.0.0.9", any.addr().port()), AddressProblem::OwnSocket),
    ] {
        assert_eq!(problem_of(local, remote, false), Some((remote, problem)));
    }
    for (local, problem) in [
        (at("224.0.0.1", 0), AddressProblem::Multicast),
        (at("255.255.255.255", 0), AddressProblem::Broadcast),
    ] {
        for dynamic in [false, true] {
            assert_eq!(problem_of(local, at("127.0.0.1", 9), dynamic), Some((local, problem)));
        }
        let error = handle.bind(local).unwrap_err();
        assert!(matches!(error, Error::Link(LinkError::UnusableAddress { .. })), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    assert!(host.links().unwrap().is_empty());

    // A link to this host itself may lead to its own socket, and others to any other port.
    let itself = handle.add_host(handle.host_id()).unwrap();
    itself.add_link(link_id(0), LinkConfig::udp(own.addr(), own.addr())).unwrap();
    let other_port = at("127.0.0.1", if own.addr().port() == 9 { 10 } else { 9 });
    host.add_link(link_id(0), LinkConfig::udp(own.addr(), other_port)).unwrap();
}

fn bind(handle: &Handle, address: &str) -> LocalSocket {
    handle.bind(address.parse().unwrap()).unwrap()
}

#[test]
fn an_unconfigured_link_is_an_error_of_every_call() {
    let host = host();
    let link = host.add_link(link_id(4), config()).unwrap();
    link.clone().clear().unwrap();
    let errors = [
        link.status().unwrap_err(),
        link.enable().unwrap_err(),
        link.disable().unwrap_err(),
        link.is_enabled().unwrap_err(),
        link.set_ping_timers(PingTimers::default()).unwrap_err(),
        link.ping_timers().unwrap_err(),
        link.set_pong_count(1).unwrap_err(),
        link.pong_count().unwrap_err(),
        link.set_priority(1).unwrap_err(),
        link.priority().unwrap_err(),
        link.local_addr().unwrap_err(),
        link.remote_addr().unwrap_err(),
        link.clear().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.errno(), EINVAL, "{error}");
        assert_eq!(error.to_string(), "link 4 of host 2 is not configured: add it first");
    }
}

#[test]
fn a_link_comes_up_and_measures_its_latency() {
    let cluster = Cluster::pair();
    let link = cluster.link(1, 2, 0);
    until("some pongs", || link.status().unwrap().stats.rx_pong_packets >= 5);
    let status = link.status().unwrap();
    assert!(status.state.is_up() && status.enabled);
    assert_eq!((status.good_pongs, status.stats.up_count, status.stats.down_count), (1, 1, 0));
    let (least, mean) = (status.latency_min.unwrap(), status.latency.unwrap());
    assert!(least <= mean && mean <= status.latency_max.unwrap());
    assert!(!mean.is_zero() && mean < Duration::from_secs(2), "{mean:?}");
    assert!(status.latency_samples >= 5);
    assert!(status.last_pong.is_some());
    let stats = status.stats;
    assert!(stats.tx_ping_packets >= stats.rx_pong_packets);
    assert_eq!(stats.rx_pong_bytes, 26 * stats.rx_pong_packets);
    assert_eq!(stats.rx_ping_bytes, 26 * stats.rx_ping_packets);
    assert!(stats.tx_pong_packets > 0);
}

#[test]
fn a_link_comes_up_after_its_pong_count() {
    let cluster = Cluster::pair();
    let link = cluster.link(1, 2, 0);
    link.disable().unwrap();
    link.set_pong_count(20).unwrap();
    let before = link.status().unwrap().stats.rx_pong_packets;
    link.enable().unwrap();
    let state = link.status().unwrap().state;
    assert_eq!(state, LinkState::Down(DownReason::NoPongYet));
    wait_up(&link);
    assert!(link.status().unwrap().stats.rx_pong_packets >= before + 20);
}

#[test]
fn disabling_and_enabling_is_reported_with_the_reason_and_counted() {
    let cluster = Cluster::pair();
    let events = cluster.handle(1).link_events();
    let link = cluster.link(1, 2, 0);
    let here = |event: &LinkEvent| (event.host, event.link) == (HostId::new(2), link_id(0));
    for round in 1..=5 {
        link.disable().unwrap();
        link.disable().unwrap();
        let event = next_like(&events, here);
        assert_eq!(event.state, LinkState::Down(DownReason::Disabled));
        assert!(!cluster.peer(1, 2).is_reachable().unwrap());
        link.enable().unwrap();
        link.enable().unwrap();
        assert_eq!(next_like(&events, here).state, LinkState::Up);
        assert!(cluster.peer(1, 2).is_reachable().unwrap());
        let stats = link.status().unwrap().stats;
        assert_eq!((stats.up_count, stats.down_count), (round + 1, round));
    }
}

#[test]
fn a_disabled_link_still_answers_the_peer() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(2, 0), cluster.create(1, 0));
    cluster.link(1, 2, 0).disable().unwrap();
    let link = cluster.link(2, 1, 0);
    let pongs = link.status().unwrap().stats.rx_pong_packets;
    until("more pongs", || link.status().unwrap().stats.rx_pong_packets > pongs + 3);
    assert!(link.status().unwrap().state.is_up());
    assert!(cluster.peer(2, 1).is_reachable().unwrap());
    // Once enabled again, it carries data.
    cluster.link(1, 2, 0).enable().unwrap();
    wait_up(&cluster.link(1, 2, 0));
    from.send(b"hello").unwrap();
    assert_eq!(receive(&to), b"hello");
}

#[test]
fn counters_of_data_count_packets_and_bytes() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    // A packet carries 522 bytes, so these messages take 1 and 2 packets; a data header has 14
    // bytes.
    for length in [522, 523] {
        from.send(&vec![1; length]).unwrap();
        assert_eq!(receive(&to).len(), length);
    }
    let stats = cluster.link(1, 2, 0).status().unwrap().stats;
    assert_eq!((stats.tx_data_packets, stats.tx_data_bytes), (3, 522 + 523 + 3 * 14));
    let stats = cluster.link(2, 1, 0).status().unwrap().stats;
    assert_eq!((stats.rx_data_packets, stats.rx_data_bytes), (3, 522 + 523 + 3 * 14));
    assert_eq!(cluster.handle(1).channel_stats(channel(0)).tx_messages, 2);
}
