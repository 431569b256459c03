//! Properties that hold for any input, kept beside the code they are about and called by the fuzz
//! targets of `tests/fuzz` and by this crate's own tests. A broken property panics. Not part of the
//! public API.

use crate::{
    Body, CryptoSizes, DATA_HEADER_LEN, MAX_MESSAGE, MAX_ONWIRE, MTU_HEADER_LEN, PING_LEN,
    PMTU_HEADER_LEN, Packet,
};

/// Bytes of the longest data frame.
const MAX_FRAME: usize = DATA_HEADER_LEN + MAX_MESSAGE;

/// Decodes `datagram`; if it is a frame, encodes it again and checks that the bytes are the same but
/// for those that [`Packet::decode`] documents as ignored, and that they decode to the same packet.
///
/// Returns whether the check was made, so that a test can tell a frame from noise. It is not for
/// noise, nor for a frame longer than any data frame, such as a probe may be.
pub fn decode(datagram: &[u8]) -> bool {
    let Ok(packet) = Packet::decode(datagram) else { return false };
    let (mut expected, mut encoded) = ([0; MAX_FRAME], [0; MAX_FRAME]);
    let Some(expected) = expected.get_mut(..datagram.len()) else { return false };
    expected.copy_from_slice(datagram);
    let expected = canonical(expected);
    let encoded = encode(&packet, &mut encoded[..expected.len()]);

    assert_eq!(expected, encoded, "encodes to other bytes: {packet:?}");
    assert_eq!(Packet::decode(encoded), Ok(packet), "decodes to something else: {encoded:x?}");
    true
}

/// Checks that the payload which [`CryptoSizes::app_mtu`] finds for a datagram of at most
/// [`MAX_ONWIRE`] bytes fits in it, and that one byte more does not. Longer ones must not panic.
pub fn lengths(sizes: CryptoSizes, datagram: usize) {
    let payload = sizes.app_mtu(datagram);
    assert_ne!(payload, Some(0), "an empty payload is no payload");
    let payload = payload.unwrap_or(0);
    let fits = |payload: usize| sizes.wire_len(payload.saturating_add(MTU_HEADER_LEN)) <= datagram;
    let (this, next) = (fits(payload), fits(payload.saturating_add(1)));
    if datagram <= MAX_ONWIRE {
        assert!(payload == 0 || this, "{payload} bytes do not fit in {datagram} with {sizes:?}");
        assert!(!next, "more than {payload} bytes fit in {datagram} with {sizes:?}");
    }
}

/// Sets every byte of a legal frame that receivers ignore to what we send, by the offsets of wire.md
/// section 3, and cuts off what may trail it.
fn canonical(frame: &mut [u8]) -> &[u8] {
    frame[4..6].fill(0);
    match frame[1] {
        0x00 => {
            frame[9] = 0;
            frame[10] = frame[10].min(1);
            if frame[11] <= 1 {
                frame[11..13].copy_from_slice(&[1, 0]);
            }
            frame
        }
        0x81 | 0x82 => {
            frame[25] = frame[25].min(1);
            &frame[..PING_LEN]
        }
        0x83 => {
            frame[PMTU_HEADER_LEN..].fill(0);
            frame
        }
        _ => &frame[..PMTU_HEADER_LEN],
    }
}

/// Writes `packet` to `frame`, which has exactly its length, and returns it.
fn encode<'a>(packet: &Packet<'_>, frame: &'a mut [u8]) -> &'a [u8] {
    match packet.body {
        Body::Data(data) => {
            let (header, payload) = frame.split_at_mut(DATA_HEADER_LEN);
            header.copy_from_slice(&data.header.encode(packet.source));
            payload.copy_from_slice(data.payload);
        }
        Body::Ping(ping) => frame.copy_from_slice(&ping.encode_ping(packet.source)),
        Body::Pong(ping) => frame.copy_from_slice(&ping.encode_pong(packet.source)),
        Body::PmtuProbe(probe) => {
            frame.fill(0xff); // The encoder has to write every byte.
            assert_eq!(probe.encode_probe(packet.source, frame), Ok(()));
        }
        Body::PmtuReply(probe) => frame.copy_from_slice(&probe.encode_reply(packet.source)),
    }
    frame
}
