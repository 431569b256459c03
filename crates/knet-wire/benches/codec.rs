//! Cost of decoding and encoding headers: `cargo bench -p knet-wire`.

use divan::{Bencher, black_box};
use knet_wire::{DataHeader, Fragment, HostId, Packet, SequenceNumber};

fn main() {
    divan::main();
}

const HEADER: DataHeader = DataHeader {
    sequence: SequenceNumber::new(4711),
    compression: 0,
    broadcast: true,
    fragment: Fragment::Whole,
    channel: 3,
};

#[divan::bench]
fn encode_data_header() -> [u8; knet_wire::DATA_HEADER_LEN] {
    black_box(HEADER).encode(black_box(HostId::new(1)))
}

/// The payload is not read, so its length must not matter.
#[divan::bench(args = [64, 1024, 65536])]
fn decode_data(bencher: Bencher<'_, '_>, size: usize) {
    let packet = [&HEADER.encode(HostId::new(1))[..], &vec![7; size]].concat();
    bencher.bench(|| Packet::decode(black_box(&packet)).is_ok());
}
