//! Packets with which a router reports that a packet is too long for the next hop: RFC 1191 and RFC
//! 8201.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the router's report about a packet, as an IP packet; `None` if the packet is not of the
/// router's version of IP, or may be fragmented.
#[must_use]
pub fn too_big(router: IpAddr, packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    match (router, packet.first()? >> 4) {
        (IpAddr::V4(router), 4) => too_big_v4(router, packet, mtu),
        (IpAddr::V6(router), 6) => too_big_v6(router, packet, mtu),
        _ => None,
    }
}

/// Builds "destination unreachable, fragmentation needed" (RFC 792, with the MTU of RFC 1191).
fn too_big_v4(router: Ipv4Addr, packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    const DONT_FRAGMENT: u8 = 0x40;
    let sender: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    if packet[6] & DONT_FRAGMENT == 0 {
        return None;
    }
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    // Enough for the receiver to identify the socket.
    icmp.extend(&packet[..packet.len().min(528)]);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);

    let length = u16::try_from(20 + icmp.len()).ok()?.to_be_bytes();
    let mut answer = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 1, 0, 0];
    answer.extend(router.octets());
    answer.extend(sender);
    let sum = checksum(&answer);
    answer[10..12].copy_from_slice(&sum);
    answer.extend(icmp);
    Some(answer)
}

/// Builds "packet too big" (RFC 4443 3.2).
fn too_big_v6(router: Ipv6Addr, packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    const ICMPV6: u8 = 58;
    let sender: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let mut icmp = vec![2, 0, 0, 0];
    icmp.extend(u32::from(mtu).to_be_bytes());
    icmp.extend(&packet[..packet.len().min(1280 - 40 - 8)]);
    let length = u16::try_from(icmp.len()).ok()?.to_be_bytes();
    // The sum also covers the addresses, the length and the protocol (RFC 8200 8.1).
    let mut summed = [router.octets(), sender].concat();
    summed.extend([0, 0, length[0], length[1], 0, 0, 0, ICMPV6]);
    summed.extend(&icmp);
    let sum = checksum(&summed);
    icmp[2..4].copy_from_slice(&sum);

    let mut answer = vec![0x60, 0, 0, 0, length[0], length[1], ICMPV6, 64];
    answer.extend(router.octets());
    answer.extend(sender);
    answer.extend(icmp);
    Some(answer)
}

/// Returns the Internet checksum (RFC 1071).
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| low.into());
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_example() {
        // The example of RFC 1071 3, whose sum is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), (!0xddf2_u16).to_be_bytes());
        assert_eq!(checksum(&[0x12]), (!0x1200_u16).to_be_bytes());
    }

    #[test]
    fn only_a_packet_that_must_stay_whole_is_answered() {
        let router = "10.0.0.254".parse().unwrap();
        let mut packet = vec![0x45, 0, 0, 40];
        packet.resize(40, 0);
        assert_eq!(too_big(router, &packet, 1400), None);
        packet[6] = 0x40;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        let answer = too_big(router, &packet, 1400).unwrap();
        assert_eq!(checksum(&answer[..20]), [0, 0], "the checksum of a checksummed header is zero");
        assert_eq!(checksum(&answer[20..]), [0, 0]);
        assert_eq!(answer[16..20], [10, 0, 0, 1]);
        assert_eq!(answer[20..28], [3, 4, answer[22], answer[23], 0, 0, 5, 120]);
        assert_eq!(answer[28..], packet);
        assert_eq!(too_big("fd00::fe".parse().unwrap(), &packet, 1400), None);
    }
}
