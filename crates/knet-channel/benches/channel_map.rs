//! Cost of the tables used per message: `cargo bench -p knet-channel`.

use divan::{Bencher, black_box};
use knet_channel::{Channel, ChannelAllocator, ChannelMap, ChannelRequest};

fn main() {
    divan::main();
}

/// Looks up each channel in a map with `filled` values.
#[divan::bench(args = [1, 32])]
fn get(bencher: Bencher<'_, '_>, filled: usize) {
    let mut map = ChannelMap::new();
    for channel in Channel::ALL.into_iter().take(filled) {
        map.insert(channel, u64::from(channel.get()));
    }
    bencher.counter(Channel::ALL.len()).bench(|| {
        Channel::ALL.into_iter().filter_map(|channel| black_box(&map).get(channel)).sum::<u64>()
    });
}

#[divan::bench]
fn insert_and_remove(bencher: Bencher<'_, '_>) {
    let mut map = ChannelMap::new();
    let channel = Channel::ALL[7];
    bencher.bench_local(|| {
        map.insert(black_box(channel), 7_u64);
        map.remove(black_box(channel))
    });
}

/// Allocates the only free channel of 32, the last one.
#[divan::bench]
fn allocate_and_release(bencher: Bencher<'_, '_>) {
    let mut allocator = ChannelAllocator::new();
    for _ in 1..Channel::ALL.len() {
        let _ = allocator.allocate(ChannelRequest::Any);
    }
    bencher.bench_local(|| {
        let channel = allocator.allocate(black_box(ChannelRequest::Any));
        channel.map(|channel| allocator.release(channel))
    });
}
