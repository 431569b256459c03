//! Packets that must be rejected, each for its reason (`docs/wire-format.md`, "Malformed packets"), and odd
//! packets that must not be.

use knet_wire::{
    Body, Data, DecodeError, Fragment, HostId, InvalidFragment, InvalidLinkId, LinkId, MAX_MESSAGE,
    Packet, Pmtu, ProbeTooShort, SequenceNumber,
};

use crate::{V1, V7, V9_HEADER, digits, hex};

/// Returns `packet` with the byte at `offset` replaced.
fn with(packet: &[u8], offset: usize, byte: u8) -> Vec<u8> {
    let mut changed = packet.to_vec();
    changed[offset] = byte;
    changed
}

/// Returns V9, the first of three fragments.
fn v9() -> Vec<u8> {
    [&hex(V9_HEADER), &digits()[..74]].concat()
}

#[track_caller]
fn assert_rejected(packet: &[u8], reason: DecodeError) {
    assert_eq!(Packet::decode(packet), Err(reason));
}

#[track_caller]
fn decode_data(packet: &[u8]) -> Data<'_> {
    match Packet::decode(packet) {
        Ok(Packet { body: Body::Data(data), .. }) => data,
        other => panic!("not data: {other:?}"),
    }
}

#[test]
fn another_version() {
    for version in (0..=u8::MAX).filter(|&version| version != 1) {
        assert_rejected(&with(&hex(V1), 0, version), DecodeError::Version { found: version });
    }
}

#[test]
fn an_unknown_type() {
    for kind in (0..=u8::MAX).filter(|kind| ![0x00, 0x81, 0x82, 0x83, 0x84].contains(kind)) {
        assert_rejected(&with(&hex(V1), 1, kind), DecodeError::UnknownType { found: kind });
    }
}

#[test]
fn an_invalid_link_id() {
    for kind in [0x81, 0x82, 0x83, 0x84] {
        for link in [0x08, 0x09, 0x80, 0xff] {
            let packet = with(&with(&hex(V1), 1, kind), 6, link);
            assert_rejected(&packet, DecodeError::Link(InvalidLinkId(link)));
        }
    }
}

#[test]
fn a_truncated_packet() {
    for (kind, need) in [(0x81, 26), (0x82, 26), (0x83, 9), (0x84, 9)] {
        let packet = with(&hex(V1), 1, kind);
        for have in 0..need {
            let need = if have < 6 { 6 } else { need };
            assert_rejected(&packet[..have], DecodeError::Truncated { need, have });
        }
        assert!(Packet::decode(&packet[..need]).is_ok());
    }
    for have in 0..14 {
        let need = if have < 6 { 6 } else { 15 };
        assert_rejected(&hex(V7)[..have], DecodeError::Truncated { need, have });
    }
}

#[test]
fn data_without_payload() {
    assert_rejected(&hex(V7)[..14], DecodeError::EmptyPayload);
    assert_eq!(decode_data(&hex(V7)[..15]).payload, b"h");
}

#[test]
fn data_longer_than_a_message() {
    let mut packet = hex(V7);
    packet.resize(14 + MAX_MESSAGE, 0);
    assert_eq!(decode_data(&packet).payload.len(), MAX_MESSAGE);
    packet.push(0);
    assert_rejected(&packet, DecodeError::PayloadTooLong { found: MAX_MESSAGE + 1 });
}

#[test]
fn an_invalid_fragment() {
    let invalid = |index, count| DecodeError::Fragment(InvalidFragment { index, count });
    assert_rejected(&with(&v9(), 12, 0), invalid(0, 3));
    assert_rejected(&with(&v9(), 12, 4), invalid(4, 3));
    assert_rejected(&with(&v9(), 11, 255), invalid(1, 255));
}

#[test]
fn an_unknown_compression_method() {
    for compression in [8, 9, 0xff] {
        let packet = with(&hex(V7), 8, compression);
        assert_rejected(&packet, DecodeError::Compression { found: compression });
    }
}

#[test]
fn a_channel_out_of_range() {
    for channel in [32, i8::MAX, i8::MIN, -1] {
        let packet = with(&hex(V7), 13, channel.to_ne_bytes()[0]);
        assert_rejected(&packet, DecodeError::Channel { found: channel });
    }
    for channel in 0..32 {
        assert_eq!(decode_data(&with(&hex(V7), 13, channel)).header.channel, channel);
    }
}

#[test]
fn data_with_sequence_number_zero() {
    assert_rejected(&with(&hex(V7), 7, 0), DecodeError::ZeroSequence);
    let wrapped = with(&with(&hex(V7), 6, 1), 7, 0);
    assert_eq!(decode_data(&wrapped).header.sequence, SequenceNumber::new(256));
}

#[test]
fn a_probe_in_a_buffer_that_is_too_short() {
    let probe = Pmtu { link: LinkId::new(0).unwrap(), cookie: [1, 2] };
    let mut packet = [0xff; 8];
    let error = probe.encode_probe(HostId::new(1), &mut packet).unwrap_err();
    assert_eq!((error, error.errno()), (ProbeTooShort { have: 8 }, 22));
    assert_eq!(packet, [0xff; 8]);
}

#[test]
fn reserved_bytes_are_ignored() {
    for (packet, reserved) in [(hex(V1), &[4, 5][..]), (hex(V7), &[4, 5, 9])] {
        for &offset in reserved {
            assert_eq!(Packet::decode(&with(&packet, offset, 0xff)), Packet::decode(&packet));
        }
    }
}

#[test]
fn bytes_after_a_control_packet_are_ignored() {
    for kind in [0x81, 0x82, 0x83, 0x84] {
        let packet = with(&hex(V1), 1, kind);
        let longer = [&packet[..], b"\xff more"].concat();
        assert_eq!(Packet::decode(&longer), Packet::decode(&packet));
    }
}

#[test]
fn a_flag_is_set_if_it_is_not_zero() {
    for flag in [1, 2, 0xff] {
        assert!(decode_data(&with(&hex(V7), 10, flag)).header.broadcast);
        assert_eq!(Packet::decode(&with(&hex(V1), 25, flag)), Packet::decode(&hex(V1)));
    }
}

#[test]
fn a_whole_message_may_have_any_index() {
    for (count, index) in [(0, 0), (0, 1), (1, 1), (1, 0xff)] {
        let packet = with(&with(&hex(V7), 11, count), 12, index);
        assert_eq!(decode_data(&packet).header.fragment, Fragment::Whole);
    }
}

#[test]
fn messages_name_the_problem() {
    let reasons = [
        (&hex(V1)[..7], "packet too short: 7 bytes instead of at least 26"),
        (&with(&hex(V1), 0, 2), "unsupported protocol version 2, only version 1 is supported"),
        (&with(&hex(V1), 1, 5), "unknown packet type 0x05"),
        (&with(&hex(V1), 6, 8), "link id 8 does not exist, use 0 to 7"),
        (&with(&hex(V7), 13, 255), "data packet for channel -1, channels are numbered 0 to 31"),
    ];
    for (packet, message) in reasons {
        assert_eq!(Packet::decode(packet).unwrap_err().to_string(), message);
    }
}
