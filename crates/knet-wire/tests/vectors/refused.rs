//! Frames that must be refused, each for its reason, and frames that must not be although something
//! about them is odd. Wire.md section 10 has the first ones in its list of negative vectors.

use knet_wire::{
    Body, Data, DecodeError, Fragment, HostId, InvalidFragment, InvalidLinkId, LinkId, MAX_MESSAGE,
    Packet, Pmtu, ProbeTooShort, SequenceNumber,
};

use crate::{V1, V7, V9_HEADER, digits, hex};

/// Returns `frame` with the byte at `offset` replaced.
fn with(frame: &[u8], offset: usize, byte: u8) -> Vec<u8> {
    let mut changed = frame.to_vec();
    changed[offset] = byte;
    changed
}

/// Returns V9, the first of three fragments.
fn v9() -> Vec<u8> {
    [&hex(V9_HEADER), &digits()[..74]].concat()
}

#[track_caller]
fn assert_refused(frame: &[u8], reason: DecodeError) {
    assert_eq!(Packet::decode(frame), Err(reason));
}

#[track_caller]
fn decode_data(frame: &[u8]) -> Data<'_> {
    match Packet::decode(frame) {
        Ok(Packet { body: Body::Data(data), .. }) => data,
        other => panic!("not data: {other:?}"),
    }
}

#[test]
fn another_version() {
    for version in (0..=u8::MAX).filter(|&version| version != 1) {
        assert_refused(&with(&hex(V1), 0, version), DecodeError::Version { found: version });
    }
}

#[test]
fn a_type_outside_the_table() {
    for kind in (0..=u8::MAX).filter(|kind| ![0x00, 0x81, 0x82, 0x83, 0x84].contains(kind)) {
        assert_refused(&with(&hex(V1), 1, kind), DecodeError::UnknownType { found: kind });
    }
}

#[test]
fn a_link_that_cannot_exist() {
    for kind in [0x81, 0x82, 0x83, 0x84] {
        for link in [0x08, 0x09, 0x80, 0xff] {
            let frame = with(&with(&hex(V1), 1, kind), 6, link);
            assert_refused(&frame, DecodeError::Link(InvalidLinkId(link)));
        }
    }
}

#[test]
fn a_frame_cut_short() {
    for (kind, need) in [(0x81, 26), (0x82, 26), (0x83, 9), (0x84, 9)] {
        let frame = with(&hex(V1), 1, kind);
        for have in 0..need {
            let need = if have < 6 { 6 } else { need };
            assert_refused(&frame[..have], DecodeError::Truncated { need, have });
        }
        assert!(Packet::decode(&frame[..need]).is_ok());
    }
    for have in 0..14 {
        let need = if have < 6 { 6 } else { 15 };
        assert_refused(&hex(V7)[..have], DecodeError::Truncated { need, have });
    }
}

#[test]
fn data_without_payload() {
    assert_refused(&hex(V7)[..14], DecodeError::EmptyPayload);
    assert_eq!(decode_data(&hex(V7)[..15]).payload, b"h");
}

#[test]
fn data_longer_than_a_message() {
    let mut frame = hex(V7);
    frame.resize(14 + MAX_MESSAGE, 0);
    assert_eq!(decode_data(&frame).payload.len(), MAX_MESSAGE);
    frame.push(0);
    assert_refused(&frame, DecodeError::PayloadTooLong { found: MAX_MESSAGE + 1 });
}

#[test]
fn an_impossible_fragment() {
    let refused = |index, count| DecodeError::Fragment(InvalidFragment { index, count });
    assert_refused(&with(&v9(), 12, 0), refused(0, 3));
    assert_refused(&with(&v9(), 12, 4), refused(4, 3));
    assert_refused(&with(&v9(), 11, 255), refused(1, 255));
}

#[test]
fn an_unknown_compression() {
    for compression in [8, 9, 0xff] {
        let frame = with(&hex(V7), 8, compression);
        assert_refused(&frame, DecodeError::Compression { found: compression });
    }
}

#[test]
fn a_channel_out_of_range() {
    for channel in [32, i8::MAX, i8::MIN, -1] {
        let frame = with(&hex(V7), 13, channel.to_ne_bytes()[0]);
        assert_refused(&frame, DecodeError::Channel { found: channel });
    }
    for channel in 0..32 {
        assert_eq!(decode_data(&with(&hex(V7), 13, channel)).header.channel, channel);
    }
}

#[test]
fn data_with_sequence_number_zero() {
    assert_refused(&with(&hex(V7), 7, 0), DecodeError::ZeroSequence);
    let wrapped = with(&with(&hex(V7), 6, 1), 7, 0);
    assert_eq!(decode_data(&wrapped).header.sequence, SequenceNumber::new(256));
}

#[test]
fn a_probe_in_too_short_a_frame() {
    let probe = Pmtu { link: LinkId::new(0).unwrap(), onwire: [1, 2] };
    let mut frame = [0xff; 8];
    let refused = probe.encode_probe(HostId::new(1), &mut frame).unwrap_err();
    assert_eq!((refused, refused.errno()), (ProbeTooShort { have: 8 }, 22));
    assert_eq!(frame, [0xff; 8]);
}

#[test]
fn reserved_bytes_do_not_matter() {
    for (frame, reserved) in [(hex(V1), &[4, 5][..]), (hex(V7), &[4, 5, 9])] {
        for &offset in reserved {
            assert_eq!(Packet::decode(&with(&frame, offset, 0xff)), Packet::decode(&frame));
        }
    }
}

#[test]
fn bytes_after_a_control_frame_do_not_matter() {
    for kind in [0x81, 0x82, 0x83, 0x84] {
        let frame = with(&hex(V1), 1, kind);
        let longer = [&frame[..], b"\xff more"].concat();
        assert_eq!(Packet::decode(&longer), Packet::decode(&frame));
    }
}

#[test]
fn any_flag_but_zero_is_set() {
    for flag in [1, 2, 0xff] {
        assert!(decode_data(&with(&hex(V7), 10, flag)).header.broadcast);
        assert_eq!(Packet::decode(&with(&hex(V1), 25, flag)), Packet::decode(&hex(V1)));
    }
}

#[test]
fn a_whole_message_may_have_any_index() {
    for (count, index) in [(0, 0), (0, 1), (1, 1), (1, 0xff)] {
        let frame = with(&with(&hex(V7), 11, count), 12, index);
        assert_eq!(decode_data(&frame).header.fragment, Fragment::Whole);
    }
}

#[test]
fn reasons_read_as_sentences() {
    let reasons = [
        (&hex(V1)[..7], "frame too short: 7 bytes where 26 are needed"),
        (&with(&hex(V1), 0, 2), "frame of protocol version 2 where only version 1 is spoken"),
        (&with(&hex(V1), 1, 5), "frame of unknown type 0x05"),
        (&with(&hex(V1), 6, 8), "no link has number 8, give one from 0 to 7"),
        (&with(&hex(V7), 13, 255), "data frame for channel -1, there are 0 to 31"),
    ];
    for (frame, message) in reasons {
        assert_eq!(Packet::decode(frame).unwrap_err().to_string(), message);
    }
}
