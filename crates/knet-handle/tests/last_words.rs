//! The messages that a peer sent before it went away are delivered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use knet_handle::{
    Channel, ChannelRequest, DatafdSource, Direction, Handle, HostId, LinkConfig, LinkId, Verdict,
};
use knet_wire::{Body, DataHeader, Fragment, Packet, SequenceNumber};

const PEER: HostId = HostId::new(2);
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends a message of one byte as the peer.
fn send(peer: &UdpSocket, to: SocketAddr, number: u8) {
    let header = DataHeader {
        sequence: SequenceNumber::new(number.into()),
        compression: 0,
        broadcast: true,
        fragment: Fragment::Whole,
        channel: 0,
    };
    let packet = [&header.encode(PEER)[..], &[number]].concat();
    peer.send_to(&packet, to).unwrap();
}

#[test]
fn the_last_messages_of_a_peer_that_went_away_are_delivered() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let here = handle.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let host = handle.add_host(PEER).unwrap();
    let config = LinkConfig::udp(here.addr(), peer.local_addr().unwrap());
    let link = host.add_link(LinkId::ALL[0], config).unwrap();
    handle.set_manual_mtu(Some(576)).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    // The peer answers the first ping.
    let mut ping = [0; 100];
    let (length, _) = peer.recv_from(&mut ping).unwrap();
    let Ok(Packet { body: Body::Ping(ping), .. }) = Packet::decode(&ping[..length]) else {
        panic!("not a ping")
    };
    peer.send_to(&ping.encode_pong(PEER), here.addr()).unwrap();
    host.wait_until_reachable(DEADLINE).unwrap();

    // The filter keeps the first message, so that the rest is unread when the peer goes away.
    let (report, entered) = mpsc::sync_channel(0);
    let (go_on, wait) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new((report, wait));
    handle
        .set_filter(move |message| {
            if message.direction() == Direction::Rx && message.payload() == [1] {
                let gate = gate.lock().unwrap();
                gate.0.send(()).unwrap();
                let _ = gate.1.recv_timeout(DEADLINE);
            }
            Verdict::Broadcast
        })
        .unwrap();
    let _problems = handle.datafd_events();
    let first = ChannelRequest::Exact(Channel::ALL[0]);
    let datafd = handle.add_datafd(DatafdSource::Create, first).unwrap();
    handle.set_forwarding(true).unwrap();
    send(&peer, here.addr(), 1);
    entered.recv_timeout(DEADLINE).unwrap();
    for number in 2..=200 {
        send(&peer, here.addr(), number);
    }
    drop(peer);
    // The kernel reports that the port is closed, in the socket's error queue.
    let _ = datafd.send(b"to a closed port");
    go_on.send(()).unwrap();

    let (mut expected, mut buffer) = (1, [0; 10]);
    let deadline = std::time::Instant::now() + DEADLINE;
    while expected <= 200 {
        match datafd.recv(&mut buffer) {
            Ok(length) => {
                assert_eq!(buffer[..length], [expected]);
                expected += 1;
            }
            Err(error) => {
                assert!(std::time::Instant::now() < deadline, "{error}: {expected} is missing");
                std::thread::yield_now();
            }
        }
    }
}
