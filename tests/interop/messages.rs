//! Messages of all lengths, to some or all hosts, on all channels.

use std::sync::Arc;
use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::wait::{read, until};
use kronosnet::Direction;

use crate::network::{Family, both_families};
use crate::node::{Decision, Filter};
use crate::pair::{Pair, assert_same, stream, write};

both_families! { lengths unicast channels moved_channels }

/// Lengths around the data MTU for several path MTUs, and the limits.
const LENGTHS: [usize; 9] = [1, 521, 522, 523, 1446, 1447, 8192, 65535, 65536];
/// Length of the header that MTU arithmetic charges besides IP and UDP (`docs/wire-format.md`,
/// "Length arithmetic").
const HEADER: usize = 26;

fn lengths(family: Family) {
    let pair = Pair::new(family, 1);
    let (here, there) = pair.open(0);
    for (node, _) in pair.ways() {
        // libknet 1.25 waits for the next search if one was interrupted.
        node.set_mtu_interval(Duration::from_secs(1));
    }
    for onwire in [None, Some(400), Some(576), Some(1500), Some(9000), None] {
        let data_mtu = usize::from(onwire.unwrap_or(u16::MAX)) - family.overhead() - HEADER;
        for (node, _) in pair.ways() {
            node.set_manual_mtu(onwire);
        }
        for (node, _) in pair.ways() {
            until("the MTU is in use", || node.data_mtu() == data_mtu);
        }
        for (from, to) in [(&here, &there), (&there, &here)] {
            let around = [data_mtu - 1, data_mtu, data_mtu + 1, 2 * data_mtu, 2 * data_mtu + 1];
            let lengths = LENGTHS.into_iter().chain(around).filter(|length| *length <= 65536);
            let messages = lengths.enumerate().map(|(number, length)| message(length, number));
            stream(from, &[to], messages);
        }
    }
    pair.nothing_more(&[&here, &there]);
}

fn unicast(family: Family) {
    let pair = Pair::new(family, 1);
    let (here, there) = pair.open(0);
    // The first byte names the destination. A received message is for the host that received it.
    let by_first_byte: Filter = Arc::new(|direction, _, bytes| match direction {
        Direction::Tx => Decision::only(bytes[0].into()),
        Direction::Rx => Decision::broadcast(),
    });
    for (node, _) in pair.ways() {
        node.set_filter(by_first_byte.clone());
    }
    for (from, to, node, peer) in
        [(&here, &there, pair.ways()[0].0, 2_u8), (&there, &here, pair.ways()[1].0, 1)]
    {
        for number in 0..20 {
            for host in [9, peer] {
                let bytes = [vec![host], message(700, number)].concat();
                write(from, &bytes);
                if host == peer {
                    assert_same(&read(to), &bytes);
                    node.send_now(0, &bytes);
                    assert_same(&read(to), &bytes);
                }
            }
        }
    }
    // The receiver's filter decides too.
    let only_for_nine: Filter = Arc::new(|direction, _, bytes| match direction {
        Direction::Rx if bytes[1] == 9 => Decision::only(9),
        _ => Decision::broadcast(),
    });
    for (node, _) in pair.ways() {
        node.set_filter(only_for_nine.clone());
    }
    for (from, to) in [(&here, &there), (&there, &here)] {
        for other in [9, 1, 9, 2, 9] {
            write(from, &[0, other, 77]);
        }
        assert_same(&read(to), &[0, 1, 77]);
        assert_same(&read(to), &[0, 2, 77]);
    }
    pair.nothing_more(&[&here, &there]);
}

fn channels(family: Family) {
    let pair = Pair::new(family, 1);
    let channels: Vec<_> = (0..32).map(|number| pair.open(number)).collect();
    for round in 0..3 {
        for (number, (here, there)) in channels.iter().enumerate() {
            write(here, &message(300, 100 * round + number));
            write(there, &message(300, 1000 + 100 * round + number));
        }
        for (number, (here, there)) in channels.iter().enumerate() {
            assert_same(&read(there), &message(300, 100 * round + number));
            assert_same(&read(here), &message(300, 1000 + 100 * round + number));
        }
    }
    let all: Vec<_> = channels.iter().flat_map(|(here, there)| [here, there]).collect();
    pair.nothing_more(&all);
}

/// Moves each message to the next channel, at the sender and again at the receiver.
fn moved_channels(family: Family) {
    let pair = Pair::new(family, 1);
    let channels: Vec<_> = (0..32).map(|number| pair.open(number)).collect();
    let next: Filter = Arc::new(|_, channel, _| {
        let channel = u8::try_from((channel + 1) % 32).unwrap();
        Decision { channel: Some(channel), ..Decision::broadcast() }
    });
    for (node, _) in pair.ways() {
        node.set_filter(next.clone());
    }
    for (number, (here, there)) in channels.iter().enumerate() {
        let (its_here, its_there) = &channels[(number + 2) % 32];
        stream(here, &[its_there], [message(3000, number)]);
        stream(there, &[its_here], [message(3000, 100 + number)]);
    }
    let all: Vec<_> = channels.iter().flat_map(|(here, there)| [here, there]).collect();
    pair.nothing_more(&all);
}
