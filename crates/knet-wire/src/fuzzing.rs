//! Properties that hold for any input, called by the fuzz targets of `tests/fuzz` and by the tests of this
//! crate. A violation panics. Not part of the public API.

use crate::{
    Body, CryptoSizes, DATA_HEADER_LEN, MAX_MESSAGE, MAX_ONWIRE, MTU_HEADER_LEN, PING_LEN,
    PMTU_HEADER_LEN, Packet,
};

/// The length of the longest data packet in bytes.
const MAX_PACKET: usize = DATA_HEADER_LEN + MAX_MESSAGE;

/// Decodes `datagram`. If it is a packet, encodes it again and checks that the bytes are the same, except
/// for those that [`Packet::decode`] documents as ignored, and that they decode to the same packet.
///
/// Returns `true` if the check was made. It is not made for noise, or for a packet longer than any data
/// packet, as a probe may be.
pub fn decode(datagram: &[u8]) -> bool {
    let Ok(packet) = Packet::decode(datagram) else { return false };
    let (mut expected, mut encoded) = ([0; MAX_PACKET], [0; MAX_PACKET]);
    let Some(expected) = expected.get_mut(..datagram.len()) else { return false };
    expected.copy_from_slice(datagram);
    let expected = canonical(expected);
    let encoded = encode(&packet, &mut encoded[..expected.len()]);

    assert_eq!(expected, encoded, "encodes to different bytes: {packet:?}");
    assert_eq!(Packet::decode(encoded), Ok(packet), "decodes to another packet: {encoded:x?}");
    true
}

/// Checks that the payload length that [`CryptoSizes::app_mtu`] returns for a datagram of at most
/// [`MAX_ONWIRE`] bytes fits in it, and that one byte more does not. Longer datagrams must not panic.
pub fn lengths(sizes: CryptoSizes, datagram: usize) {
    let payload = sizes.app_mtu(datagram);
    assert_ne!(payload, Some(0), "an empty payload is reported as none");
    let payload = payload.unwrap_or(0);
    let fits = |payload: usize| sizes.wire_len(payload.saturating_add(MTU_HEADER_LEN)) <= datagram;
    let (this, next) = (fits(payload), fits(payload.saturating_add(1)));
    if datagram <= MAX_ONWIRE {
        assert!(payload == 0 || this, "{payload} bytes do not fit in {datagram} with {sizes:?}");
        assert!(!next, "more than {payload} bytes fit in {datagram} with {sizes:?}");
    }
}

/// Sets every byte of a valid packet that receivers ignore to the value that we send, and removes trailing
/// bytes.
fn canonical(packet: &mut [u8]) -> &[u8] {
    packet[4..6].fill(0);
    match packet[1] {
        0x00 => {
            packet[9] = 0;
            packet[10] = packet[10].min(1);
            if packet[11] <= 1 {
                packet[11..13].copy_from_slice(&[1, 0]);
            }
            packet
        }
        0x81 | 0x82 => {
            packet[25] = packet[25].min(1);
            &packet[..PING_LEN]
        }
        0x83 => {
            packet[PMTU_HEADER_LEN..].fill(0);
            packet
        }
        _ => &packet[..PMTU_HEADER_LEN],
    }
}

/// Encodes `packet` to `bytes`, which has exactly its length, and returns them.
fn encode<'a>(packet: &Packet<'_>, bytes: &'a mut [u8]) -> &'a [u8] {
    match packet.body {
        Body::Data(data) => {
            let (header, payload) = bytes.split_at_mut(DATA_HEADER_LEN);
            header.copy_from_slice(&data.header.encode(packet.source));
            payload.copy_from_slice(data.payload);
        }
        Body::Ping(ping) => bytes.copy_from_slice(&ping.encode_ping(packet.source)),
        Body::Pong(ping) => bytes.copy_from_slice(&ping.encode_pong(packet.source)),
        Body::PmtuProbe(probe) => {
            bytes.fill(0xff); // The encoder must write every byte.
            assert_eq!(probe.encode_probe(packet.source, bytes), Ok(()));
        }
        Body::PmtuReply(probe) => bytes.copy_from_slice(&probe.encode_reply(packet.source)),
    }
    bytes
}
