//! Captured packets that must decode to their known contents and encode to the same bytes.

use knet_wire::{
    Body, Data, DataHeader, Fragment, FragmentPart, HostId, LinkId, Packet, Ping, Pmtu,
    SequenceNumber,
};

use crate::{V1, V7, V9_HEADER, digits, hex};

const HOST_1: HostId = HostId::new(1);
const HOST_2: HostId = HostId::new(2);
const LINK_0: LinkId = LinkId::ALL[0];

fn cookie(text: &str) -> [u8; 16] {
    hex(text).try_into().expect("a cookie of 16 bytes")
}

/// The ping of V1.
fn timed_ping() -> Ping {
    Ping {
        link: LINK_0,
        cookie: cookie("3704000000000000 62bb252c00000000"),
        sequence: SequenceNumber::ZERO,
        timed: true,
    }
}

/// The header of V7.
fn hello() -> DataHeader {
    DataHeader {
        sequence: SequenceNumber::new(1),
        compression: 0,
        broadcast: true,
        fragment: Fragment::Whole,
        channel: 0,
    }
}

#[track_caller]
fn assert_decodes(datagram: &[u8], source: HostId, body: Body<'_>) {
    assert_eq!(Packet::decode(datagram), Ok(Packet { source, body }));
}

#[track_caller]
fn assert_data(datagram: &[u8], header: DataHeader, payload: &[u8]) {
    assert_decodes(datagram, HOST_1, Body::Data(Data { header, payload }));
    assert_eq!([&header.encode(HOST_1), payload].concat(), datagram);
}

#[test]
fn v1_ping() {
    assert_decodes(&hex(V1), HOST_1, Body::Ping(timed_ping()));
    assert_eq!(timed_ping().encode_ping(HOST_1)[..], hex(V1));
}

#[test]
fn v2_pong() {
    let v2 = hex("01820002000000370400000000000062bb252c00000000000001");
    assert_decodes(&v2, HOST_2, Body::Pong(timed_ping()));
    assert_eq!(timed_ping().encode_pong(HOST_2)[..], v2);
}

#[test]
fn v3_forced_ping_and_v4_its_pong() {
    let v3 = hex("01810001000000ae06000000000000fe75c225000000001fff00");
    let v4 = hex("01820002000000ae06000000000000fe75c225000000001fff00");
    let ping = Ping {
        link: LINK_0,
        cookie: cookie("ae06000000000000 fe75c22500000000"),
        sequence: SequenceNumber::new(8191),
        timed: false,
    };
    assert_decodes(&v3, HOST_1, Body::Ping(ping));
    assert_decodes(&v4, HOST_2, Body::Pong(ping));
    assert_eq!(ping.encode_ping(HOST_1)[..], v3);
    assert_eq!(ping.encode_pong(HOST_2)[..], v4);
}

#[test]
fn data_after_v3() {
    let header = DataHeader { sequence: SequenceNumber::new(8191), ..hello() };
    assert_data(&hex("0100000100001fff00000101000068656c6c"), header, b"hell");
}

#[test]
fn v5_probe() {
    let v5 = [hex("01830002000000dc05"), vec![0; 1463]].concat();
    let probe = Pmtu { link: LINK_0, cookie: 1500_u16.to_le_bytes() };
    assert_decodes(&v5, HOST_2, Body::PmtuProbe(probe));
    let mut encoded = vec![0xff; v5.len()];
    assert_eq!(probe.encode_probe(HOST_2, &mut encoded), Ok(()));
    assert_eq!(encoded, v5);
}

#[test]
fn v6_probe_reply() {
    let v6 = hex("01840001000000dc05");
    let probe = Pmtu { link: LINK_0, cookie: 1500_u16.to_le_bytes() };
    assert_decodes(&v6, HOST_1, Body::PmtuReply(probe));
    assert_eq!(probe.encode_reply(HOST_1)[..], v6);
}

#[test]
fn v7_broadcast() {
    assert_data(&hex(V7), hello(), b"hello, kronosnet");
}

#[test]
fn v8_unicast() {
    let v8 = hex("010000010000000100000001000068656c6c6f2c206b726f6e6f736e6574");
    assert_data(&v8, DataHeader { broadcast: false, ..hello() }, b"hello, kronosnet");
}

#[test]
fn v9_to_v11_fragments() {
    let v9 = hex(concat!(
        "0100000100000001000001030100",
        "3031323334353637383930313233343536373839303132333435363738393031",
        "3233343536373839303132333435363738393031323334353637383930313233",
        "34353637383930313233",
    ));
    let v10 = hex(concat!(
        "0100000100000001000001030200",
        "3435363738393031323334353637383930313233343536373839303132333435",
        "3637383930313233343536373839303132333435363738393031323334353637",
        "38393031323334353637",
    ));
    let v11 = hex(concat!(
        "0100000100000001000001030300",
        "3839303132333435363738393031323334353637383930313233343536373839",
        "3031323334353637383930313233343536373839",
    ));
    assert!(v9.starts_with(&hex(V9_HEADER)));
    assert_eq!([v9.len(), v10.len(), v11.len()], [88, 88, 66]);
    for ((index, packet), payload) in (1..).zip([v9, v10, v11]).zip(digits().chunks(74)) {
        let part = FragmentPart::new(index, 3).unwrap();
        assert_data(&packet, DataHeader { fragment: Fragment::Part(part), ..hello() }, payload);
    }
}

/// Compressed payloads are opaque here.
#[test]
fn every_known_compression_method() {
    for compression in 1..=7 {
        let packet = hex(&format!("0100000100000001{compression:02x}0001010000 789c"));
        assert_data(&packet, DataHeader { compression, ..hello() }, b"\x78\x9c");
    }
}

#[test]
fn every_field_has_bytes_of_its_own() {
    let header = DataHeader {
        sequence: SequenceNumber::new(0x1234),
        compression: 5,
        broadcast: true,
        fragment: Fragment::Part(FragmentPart::new(200, 254).unwrap()),
        channel: 31,
    };
    assert_eq!(header.encode(HostId::new(0xabcd))[..], hex("0100abcd0000 1234 05 00 01 fe c8 1f"));

    let ping = Ping {
        link: LinkId::new(7).unwrap(),
        cookie: cookie("101112131415161718191a1b1c1d1e1f"),
        sequence: SequenceNumber::new(0x5678),
        timed: true,
    };
    let encoded = hex("0181abcd0000 07 101112131415161718191a1b1c1d1e1f 5678 01");
    assert_eq!(ping.encode_ping(HostId::new(0xabcd))[..], encoded);
}
