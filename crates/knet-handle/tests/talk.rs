//! Two handles exchange messages over loopback addresses, through the crate's own API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use knet_handle::{
    Channel, ChannelRequest, Datafd, DatafdSource, DownReason, Error, EventStream, Handle, HostId,
    LinkConfig, LinkId, LinkState, LocalSocket, PingTimers, Verdict,
};

/// Two handles with a link between them, reachable and forwarding, each with a datafd of channel 0.
struct Pair {
    handles: [Handle; 2],
    datafds: [Datafd; 2],
    _ends: [LocalSocket; 2],
}

fn pair(address: IpAddr) -> Pair {
    let handles = [1, 2].map(|id| Handle::new(HostId::new(id)).unwrap());
    let ends = [0, 1].map(|own: usize| handles[own].bind((address, 0).into()).unwrap());
    for (own, peer) in [(0, 1), (1, 0)] {
        let host = handles[own].add_host(handles[peer].host_id()).unwrap();
        let config = LinkConfig::udp(ends[own].addr(), ends[peer].addr());
        let link = host.add_link(LinkId::ALL[0], config).unwrap();
        let interval = Duration::from_millis(20);
        link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
        link.set_pong_count(1).unwrap();
        link.enable().unwrap();
        handles[own].set_forwarding(true).unwrap();
        // The shortest that every path carries, so that messages are fragmented.
        let shortest = if address.is_ipv4() { 576 } else { 1280 };
        handles[own].set_manual_mtu(Some(shortest)).unwrap();
    }
    let datafds = [0, 1].map(|own: usize| {
        let _ = handles[own].datafd_events();
        let first = ChannelRequest::Exact(Channel::ALL[0]);
        handles[own].add_datafd(DatafdSource::Create, first).unwrap()
    });
    for (own, peer) in [(0, 1), (1, 0)] {
        let host = handles[own].host(handles[peer].host_id()).unwrap();
        host.wait_until_reachable(DEADLINE).unwrap();
    }
    Pair { handles, datafds, _ends: ends }
}

/// Waits for a message and returns it.
fn receive(datafd: &Datafd) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let deadline = Instant::now() + DEADLINE;
    loop {
        match datafd.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return buffer;
            }
            Err(Error::WouldBlock(_)) if Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => panic!("nothing received: {error}"),
        }
    }
}

fn next<T: Clone>(events: &EventStream<T>) -> T {
    events.recv_timeout(DEADLINE).expect("an event in time").event
}

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn messages_of_every_size_arrive_whole_over_ipv4_and_ipv6() {
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let pair = pair(address);
        let mtu = pair.handles[0].data_mtu();
        assert_eq!(mtu, if address.is_ipv4() { 522 } else { 1206 });
        for size in [1, mtu - 1, mtu, mtu + 1, 2 * mtu, 8192, 65_535, 65_536] {
            let message: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            assert_eq!(pair.datafds[0].send(&message).unwrap().hosts, 1);
            assert_eq!(receive(&pair.datafds[1]), message, "{size} bytes");
        }
    }
}

#[test]
fn a_write_to_the_datafd_takes_the_same_path_as_send() {
    let pair = pair(Ipv4Addr::LOCALHOST.into());
    let sent = knet_fd::send(&pair.datafds[1], b"written").unwrap();
    assert_eq!(sent, knet_fd::Sent::Sent { len: 7 });
    assert_eq!(receive(&pair.datafds[0]), b"written");
    // The peer may receive a message before its sender has counted it.
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stats = pair.handles[1].channel_stats(Channel::ALL[0]);
        if (stats.tx_messages, stats.tx_bytes) == (1, 7) {
            break;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        std::thread::yield_now();
    }
}

#[test]
fn forwarding_off_delivers_what_was_sent_before_and_nothing_after() {
    let pair = pair(Ipv4Addr::LOCALHOST.into());
    let _ = knet_fd::send(&pair.datafds[0], b"before").unwrap();
    pair.handles[0].set_forwarding(false).unwrap();
    pair.handles[1].set_forwarding(false).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(pair.datafds[1].recv(&mut buffer).unwrap(), 6);
    let refused = pair.datafds[0].send(b"after").unwrap_err();
    assert!(matches!(refused, Error::ForwardingOff), "{refused}");
}

#[test]
fn a_disabled_link_is_reported_and_comes_up_again() {
    let pair = pair(Ipv4Addr::LOCALHOST.into());
    let (links, hosts) = (pair.handles[0].link_events(), pair.handles[0].host_events());
    let host = pair.handles[0].host(HostId::new(2)).unwrap();
    let link = host.link(LinkId::ALL[0]).unwrap();
    link.disable().unwrap();
    // That it came up may still have been queued when the streams were created.
    let down = std::iter::repeat_with(|| next(&links).state).find(|state| !state.is_up());
    assert_eq!(down, Some(LinkState::Down(DownReason::Disabled)));
    while next(&hosts).reachable {}
    assert!(matches!(pair.datafds[0].send(b"x").unwrap_err(), Error::NoReachableHost { .. }));
    link.enable().unwrap();
    assert_eq!(next(&links).state, LinkState::Up);
    assert!(next(&hosts).reachable);
    pair.datafds[0].send(b"again").unwrap();
    assert_eq!(receive(&pair.datafds[1]), b"again");
}

#[test]
fn a_call_that_would_wait_for_the_filter_is_refused_within_it() {
    let pair = pair(Ipv4Addr::LOCALHOST.into());
    let (report, reports) = crossbeam_channel::bounded(1);
    let weak = std::sync::Mutex::new(Some(pair.handles[0].clone()));
    pair.handles[0]
        .set_filter(move |_| {
            if let Some(handle) = weak.lock().ok().and_then(|mut handle| handle.take()) {
                let _ = report.send(handle.set_forwarding(false).map_err(|error| error.errno()));
            }
            Verdict::Broadcast
        })
        .unwrap();
    pair.datafds[0].send(b"x").unwrap();
    assert_eq!(reports.recv_timeout(DEADLINE).unwrap(), Err(35), "EDEADLK");
    assert_eq!(receive(&pair.datafds[1]), b"x");
}

#[test]
fn each_message_that_is_too_long_is_reported() {
    let pair = pair(Ipv4Addr::LOCALHOST.into());
    let events = pair.handles[0].datafd_events();
    // All three are written before the handle reads them, if this thread is fast enough.
    for _ in 0..3 {
        let sent = knet_fd::send(&pair.datafds[0], &[0; 65_537]).unwrap();
        assert_eq!(sent, knet_fd::Sent::Sent { len: 65_537 });
    }
    for _ in 0..3 {
        assert_eq!(next(&events).problem, knet_handle::DatafdProblem::MessageTooLong);
    }
    assert_eq!(pair.handles[0].channel_stats(Channel::ALL[0]).tx_too_long, 3);
    pair.datafds[0].send(b"on").unwrap();
    assert_eq!(receive(&pair.datafds[1]), b"on");
}
