//! Messages to ourselves: over the loopback link, and over UDP (`docs/protocol.md`, "Loopback
//! links").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use knet_tests::cluster::{
    Cluster, QUICK, channel, exactly, flush, link_id, message, wait_up, watch,
};
use knet_tests::wait::{next, next_like, next_message, read, receive};
use kronosnet::{
    ChannelRequest, Datafd, DatafdProblem, DatafdSource, Direction, Error, Handle, HostId, Link,
    LinkConfig, LinkError, LinkKind, LinkState, MAX_MESSAGE, Policy, Transport, Verdict,
};
use nix::libc::{EHOSTDOWN, EINVAL};

const OWN: HostId = HostId::new(7);

fn node() -> Handle {
    let handle = Handle::new(OWN).unwrap();
    // Opening a stream once enables the events.
    let _ = handle.datafd_events();
    handle.set_forwarding(true).unwrap();
    handle
}

/// Makes a handle whose only link is a loopback link, enabled.
fn looped(link: u8) -> (Handle, Link) {
    let handle = node();
    let itself = handle.add_host(OWN).unwrap();
    let link = itself.add_link(link_id(link), LinkConfig::loopback()).unwrap();
    link.enable().unwrap();
    (handle, link)
}

fn create(handle: &Handle, number: u8) -> Datafd {
    handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap()
}

#[test]
fn messages_to_ourselves_are_delivered_and_sending_them_succeeds() {
    let (handle, link) = looped(3);
    let datafd = create(&handle, 4);
    for (number, length) in [1, 100, 5000, MAX_MESSAGE].into_iter().enumerate() {
        let sent = message(length, number);
        let report = handle.send(channel(4), &sent).unwrap();
        assert_eq!(report.delivered().collect::<Vec<_>>(), [OWN]);
        assert_eq!(receive(&datafd), sent);
    }
    // The same through the datafd, which returns no result.
    assert_eq!(nix::unistd::write(&datafd, b"written"), Ok(7));
    assert_eq!(receive(&datafd), b"written");
    // And to exactly one host, for which libknet returns EHOSTDOWN after delivering the message.
    handle
        .set_filter(|message| {
            message.add_destination(OWN);
            Verdict::Destinations
        })
        .unwrap();
    assert_eq!(handle.send_sync(channel(4), b"synchronous").unwrap().hosts, 1);
    assert_eq!(receive(&datafd), b"synchronous");

    // Counted on the link that carried it, whatever its number: no packets, no headers.
    let stats = link.status().unwrap().stats;
    let bytes = (1 + 100 + 5000 + MAX_MESSAGE + 7 + 11) as u64;
    assert_eq!((stats.tx_data_packets, stats.tx_data_bytes), (6, bytes));
    flush(&handle);
    let stats = handle.channel_stats(channel(4));
    assert_eq!((stats.tx_messages, stats.rx_messages, stats.rx_bytes), (6, 6, bytes));
}

#[test]
fn the_host_is_reachable_while_the_link_is_enabled() {
    let (handle, link) = looped(0);
    let _datafd = create(&handle, 0);
    let itself = handle.host(OWN).unwrap();
    assert!(itself.is_reachable().unwrap());
    assert_eq!(itself.link_states().unwrap(), [(link_id(0), LinkState::Up)]);
    let status = link.status().unwrap();
    assert_eq!((status.kind, status.remote), (LinkKind::Loopback, None));
    assert_eq!(link.config().unwrap(), LinkConfig::loopback());
    assert_eq!(link.config().unwrap().transport(), Transport::Loopback);
    let error = link.local_addr().unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::NoAddress { .. })), "{error}");
    assert_eq!(error.errno(), EINVAL);

    let events = handle.host_events();
    link.disable().unwrap();
    // The event of becoming reachable may still be pending.
    let event = next_like(&events, |event| !event.reachable);
    assert_eq!(event.host, OWN);
    let error = handle.send(channel(0), b"to nobody").unwrap_err();
    assert_eq!(error.errno(), EHOSTDOWN, "{error}");
    link.clear().unwrap();
    itself.remove().unwrap();
}

#[test]
fn the_filter_sees_a_message_once_and_may_move_it() {
    let (handle, _link) = looped(0);
    let (from, to) = (create(&handle, 1), create(&handle, 2));
    let received = Arc::new(AtomicUsize::new(0));
    let seen = received.clone();
    handle
        .set_filter(move |message| {
            if message.direction() == Direction::Rx {
                seen.fetch_add(1, Ordering::SeqCst);
                return Verdict::Reject;
            }
            message.set_channel(channel(2));
            Verdict::Broadcast
        })
        .unwrap();
    from.send(b"moved").unwrap();
    assert_eq!(receive(&to), b"moved");
    assert_eq!(received.load(Ordering::SeqCst), 0);

    // To a channel without a datafd: libknet writes it to descriptor 0.
    handle.remove_datafd(&to).unwrap();
    from.send(b"no datafd").unwrap();
    flush(&handle);
    assert_eq!(handle.channel_stats(channel(2)).rx_no_datafd, 1);
}

#[test]
fn a_full_datafd_loses_and_reports_messages_without_blocking_the_sender() {
    let (handle, _link) = looped(0);
    let problems = handle.datafd_events();
    let datafd = create(&handle, 0);
    let big = message(MAX_MESSAGE, 1);
    // Far more than any datafd holds; a blocking sender would never return.
    let rounds = 20;
    for _ in 0..rounds {
        for _ in 0..64 {
            handle.send(channel(0), &big).unwrap();
        }
        // So that none is lost before it: the queue to the datafd is bounded too.
        flush(&handle);
    }
    let event = next(&problems);
    assert_eq!((event.channel, event.direction), (channel(0), Direction::Rx));
    assert!(matches!(event.problem, DatafdProblem::Full { messages } if messages > 0), "{event:?}");
    let stats = handle.channel_stats(channel(0));
    assert_eq!(stats.tx_messages, rounds * 64);
    assert!(stats.rx_dropped_full > 0);
    assert_eq!(stats.rx_messages + stats.rx_dropped_full, rounds * 64, "each is counted once");
    // Messages that were delivered are whole, and reading them makes room.
    for _ in 0..stats.rx_messages {
        assert!(receive(&datafd) == big);
    }
    handle.send(channel(0), b"after").unwrap();
    assert_eq!(receive(&datafd), b"after");
}

#[test]
fn messages_to_ourselves_and_to_others_keep_their_order() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let itself = handle.add_host(HostId::new(1)).unwrap();
    let link = itself.add_link(link_id(0), LinkConfig::loopback()).unwrap();
    link.enable().unwrap();
    let (here, there) = (cluster.create(1, 0), cluster.create(2, 0));
    // Few enough at once for datafds with the smallest buffers.
    for round in 0..20 {
        let numbers = 20 * round..20 * (round + 1);
        for number in numbers.clone() {
            assert_eq!(handle.send(channel(0), &message(700, number)).unwrap().hosts, 2);
        }
        for number in numbers {
            assert_eq!(receive(&here), message(700, number));
            assert_eq!(receive(&there), message(700, number));
        }
    }
    // Messages of the other host come out of the same datafd.
    there.send(b"from host 2").unwrap();
    assert_eq!(next_message(&here, |_| true), b"from host 2");
    // The data MTU is that of links that send packets.
    assert_eq!(handle.data_mtu(), 522);
}

#[test]
fn many_threads_may_send_to_our_own_stream_at_once() {
    let (handle, _link) = looped(0);
    let (ours, theirs) = UnixStream::pair().unwrap();
    handle.add_datafd(DatafdSource::Fd(theirs.as_fd()), exactly(5)).unwrap();
    let (threads, each, length) = (4u8, 200u64, 1000);
    let mut before = 0;
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let handle = &handle;
                scope.spawn(move || {
                    for _ in 0..each {
                        handle.send(channel(5), &vec![thread; length]).unwrap();
                    }
                });
            }
        });
        // A full stream loses whole messages. The rest of the last accepted one is still to be
        // written.
        flush(&handle);
        let stats = handle.channel_stats(channel(5));
        let taken = (stats.rx_messages - before) as usize;
        assert!(taken > 0);
        before = stats.rx_messages;
        let mut stream = Vec::new();
        while stream.len() < taken * length {
            stream.extend(read(&ours));
        }
        assert_eq!(stream.len(), taken * length);
        for message in stream.chunks(length) {
            assert!(message.iter().all(|byte| *byte == message[0]), "messages were mixed up");
        }
    }
}

#[test]
fn a_loopback_link_is_the_only_link_and_leads_to_ourselves() {
    let (handle, link) = looped(2);
    let itself = handle.host(OWN).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let udp = LinkConfig::udp(any, (Ipv4Addr::LOCALHOST, 9).into());
    for config in [udp.clone(), LinkConfig::udp_dynamic(any), LinkConfig::loopback()] {
        let error = itself.add_link(link_id(0), config).unwrap_err();
        assert!(matches!(error, Error::Link(LinkError::LoopbackNotAlone { .. })), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    let other = handle.add_host(HostId::new(8)).unwrap();
    let error = other.add_link(link_id(0), LinkConfig::loopback()).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::LoopbackElsewhere { .. })), "{error}");
    assert_eq!(error.errno(), EINVAL);

    link.disable().unwrap();
    link.clear().unwrap();
    itself.add_link(link_id(0), udp).unwrap();
    let error = itself.add_link(link_id(1), LinkConfig::loopback()).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::LoopbackNotAlone { .. })), "{error}");
}

#[test]
fn a_udp_link_leads_to_ourselves_too() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let handle = node();
        let end = handle.bind(SocketAddr::new(ip, 0)).unwrap();
        let link = watch(&handle, OWN.get(), 0, end.addr(), end.addr(), QUICK);
        wait_up(&link);
        let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        handle
            .set_filter(|message| {
                message.add_destination(OWN);
                Verdict::Destinations
            })
            .unwrap();
        for policy in [Policy::Passive, Policy::Active, Policy::RoundRobin] {
            handle.host(OWN).unwrap().set_policy(policy).unwrap();
            let sent = message(3000, policy as usize);
            assert_eq!(handle.send_sync(datafd.channel(), &sent).unwrap().hosts, 1);
            assert_eq!(receive(&datafd), sent);
        }
    }
}
