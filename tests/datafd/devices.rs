//! TUN and TAP devices as datafds, where the machine permits them: packets that the kernel routes
//! to the device arrive at the other host, and packets from the other host reach the kernel.

use std::os::fd::{AsFd, OwnedFd};

use knet_tests::cluster::Cluster;
use knet_tests::icmp::checksum;
use knet_tests::network::{in_own_network, ip};
use knet_tests::tun::{self, Kind};
use knet_tests::wait::next_message;

/// Makes a device that has the address 10.0.0.1/30 on a network of its own.
fn device(kind: Kind) -> Result<OwnedFd, String> {
    let fd = tun::device(kind, "device")?;
    ip("address add 10.0.0.1/30 dev device")?;
    ip("link set device up")?;
    Ok(fd)
}

/// Builds an ICMP echo request (`RFC 792`) in an IPv4 packet.
fn echo_request(from: [u8; 4], to: [u8; 4], identifier: u8) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0, identifier, 0, 1];
    icmp.extend(b"are you there?");
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let length = u16::try_from(20 + icmp.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 1, 0, 0];
    packet.extend(from);
    packet.extend(to);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(icmp);
    packet
}

#[test]
fn row_08_tun_devices_are_accepted() {
    in_own_network(|| device(Kind::Tun), answers_pings);
}

fn answers_pings(tun: OwnedFd) {
    let cluster = Cluster::pair();
    let there = cluster.create(2, 0);
    cluster.bring(1, tun.as_fd(), 0);
    for identifier in 0..20 {
        let request = echo_request([10, 0, 0, 2], [10, 0, 0, 1], identifier);
        there.send(&request).unwrap();
        // The kernel routes its answer to the device. It may send packets of its own as well.
        let answer = next_message(&there, |packet| {
            packet.len() == request.len() && packet[9] == 1 && packet[12..16] == [10, 0, 0, 1]
        });
        assert_eq!(answer[20], 0, "an echo reply");
        assert_eq!(answer[24..], request[24..], "it answers this request");
    }
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn row_08_tap_devices_are_accepted() {
    in_own_network(|| device(Kind::Tap), answers_arp);
}

fn answers_arp(tap: OwnedFd) {
    let cluster = Cluster::pair();
    let there = cluster.create(2, 0);
    cluster.bring(1, tap.as_fd(), 0);
    let sender = [0x02, 0, 0, 0, 0, 0x42];
    for round in 0..20 {
        // Who has 10.0.0.1? (RFC 826)
        let mut request = vec![0xff; 6];
        request.extend(sender);
        request.extend([0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1]);
        request.extend(sender);
        request.extend([10, 0, 0, 2]);
        request.extend([0; 6]);
        request.extend([10, 0, 0, 1]);
        there.send(&request).unwrap();
        let answer = next_message(&there, |frame| {
            frame.len() >= 42 && frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 2]
        });
        assert_eq!(answer[..6], sender, "round {round}");
        assert_eq!(answer[28..32], [10, 0, 0, 1]);
    }
    assert!(cluster.problems(1).is_empty());
}
