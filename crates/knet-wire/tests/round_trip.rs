//! Round trips: values decode to themselves, packets encode to the same bytes, and nothing panics.

use knet_wire::{
    Body, CryptoSizes, Data, DataHeader, Fragment, FragmentPart, HostId, LinkId, MAX_FRAGMENTS,
    MAX_ONWIRE, Packet, Ping, Pmtu, SequenceNumber, fuzzing,
};
use proptest::prelude::*;
use proptest::sample::Index;

fn link() -> impl Strategy<Value = LinkId> {
    proptest::sample::select(&LinkId::ALL[..])
}

fn fragment() -> impl Strategy<Value = Fragment> {
    let part = (2..=MAX_FRAGMENTS).prop_flat_map(|count| (1..=count, Just(count))).prop_map(
        |(index, count)| {
            Fragment::Part(FragmentPart::new(index, count).expect("generated within its range"))
        },
    );
    prop_oneof![Just(Fragment::Whole), part]
}

prop_compose! {
    fn header()(
        sequence in 1..=u16::MAX,
        compression in 0_u8..=7,
        broadcast: bool,
        fragment in fragment(),
        channel in 0_u8..=31,
    ) -> DataHeader {
        let sequence = SequenceNumber::new(sequence);
        DataHeader { sequence, compression, broadcast, fragment, channel }
    }
}

prop_compose! {
    fn ping()(link in link(), cookie: [u8; 16], sequence: u16, timed: bool) -> Ping {
        Ping { link, cookie, sequence: SequenceNumber::new(sequence), timed }
    }
}

prop_compose! {
    fn pmtu()(link in link(), cookie: [u8; 2]) -> Pmtu {
        Pmtu { link, cookie }
    }
}

fn encode_probe(probe: Pmtu, source: HostId, len: usize) -> Vec<u8> {
    let mut packet = vec![0xff; len];
    probe.encode_probe(source, &mut packet).expect("9 bytes or more");
    packet
}

/// Generates packets as peers send them.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let source = any::<u16>().prop_map(HostId::new);
    let payload = proptest::collection::vec(any::<u8>(), 1..100);
    prop_oneof![
        (source.clone(), header(), payload).prop_map(|(source, header, payload)| [
            &header.encode(source)[..],
            &payload
        ]
        .concat()),
        (source.clone(), ping()).prop_map(|(source, ping)| ping.encode_ping(source).to_vec()),
        (source.clone(), ping()).prop_map(|(source, ping)| ping.encode_pong(source).to_vec()),
        (source.clone(), pmtu(), 9_usize..2000)
            .prop_map(|(source, probe, len)| encode_probe(probe, source, len)),
        (source, pmtu()).prop_map(|(source, probe)| probe.encode_reply(source).to_vec()),
    ]
}

fn sizes() -> impl Strategy<Value = CryptoSizes> {
    let size = || prop_oneof![4 => 0_usize..100, 1 => any::<usize>()];
    (size(), size(), size()).prop_map(|(block, salt, hash)| CryptoSizes { block, salt, hash })
}

proptest! {
    #[test]
    fn data_decodes_to_itself(source: u16, header in header(), payload: Vec<u8>, more: u8) {
        let source = HostId::new(source);
        let payload = &[payload, vec![more]].concat()[..];
        let packet = [&header.encode(source), payload].concat();
        let body = Body::Data(Data { header, payload });
        prop_assert_eq!(Packet::decode(&packet), Ok(Packet { source, body }));
    }

    #[test]
    fn pings_and_pongs_decode_to_themselves(source: u16, ping in ping()) {
        let source = HostId::new(source);
        let (sent, answer) = (ping.encode_ping(source), ping.encode_pong(source));
        prop_assert_eq!(Packet::decode(&sent), Ok(Packet { source, body: Body::Ping(ping) }));
        prop_assert_eq!(Packet::decode(&answer), Ok(Packet { source, body: Body::Pong(ping) }));
    }

    #[test]
    fn probes_and_replies_decode_to_themselves(
        source: u16,
        probe in pmtu(),
        len in 9..=MAX_ONWIRE,
    ) {
        let source = HostId::new(source);
        let (sent, reply) = (encode_probe(probe, source, len), probe.encode_reply(source));
        let decoded = [Packet::decode(&sent), Packet::decode(&reply)];
        let bodies = [Body::PmtuProbe(probe), Body::PmtuReply(probe)];
        prop_assert_eq!(decoded, bodies.map(|body| Ok(Packet { source, body })));
        prop_assert!(sent.iter().skip(9).all(|&byte| byte == 0));
    }

    #[test]
    fn packets_encode_to_the_same_bytes(packet in packet()) {
        prop_assert!(fuzzing::decode(&packet));
    }

    #[test]
    fn damaged_packets_are_rejected_or_encode_to_the_same_bytes(
        mut packet in packet(),
        damage: Vec<(Index, u8)>,
        trailer: Vec<u8>,
        cut: Index,
    ) {
        packet.extend_from_slice(&trailer);
        for (offset, byte) in damage {
            *offset.get_mut(&mut packet) = byte;
        }
        fuzzing::decode(&packet);
        fuzzing::decode(&packet[..cut.index(packet.len())]);
    }

    #[test]
    fn reserved_bytes_are_not_kept(mut packet in packet(), reserved: [u8; 2]) {
        packet[4..6].copy_from_slice(&reserved);
        prop_assert!(fuzzing::decode(&packet));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        fuzzing::decode(&bytes);
    }

    #[test]
    fn the_largest_payload_is_found(sizes in sizes(), datagram in 0..=MAX_ONWIRE) {
        fuzzing::lengths(sizes, datagram);
    }

    #[test]
    fn absurd_lengths_never_panic(sizes in sizes(), length: usize) {
        fuzzing::lengths(sizes, length);
        prop_assert!(sizes.wire_len(length) >= length);
        prop_assert!(sizes.min_mtu() <= 482);
    }
}
