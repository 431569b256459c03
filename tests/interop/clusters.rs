//! Three hosts of both kinds.

use std::sync::Arc;

use knet_tests::cluster::message;
use knet_tests::wait::read;
use kronosnet::Direction;

use crate::network::{Family, both_families};
use crate::node::{Care, Datafd, Decision, Filter, Node};
use crate::ours::Ours;
use crate::pair::{assert_same, connect, meet, nothing_more, stream, write};
use crate::theirs::Theirs;

both_families! { two_of_ours two_of_theirs }

fn two_of_ours(family: Family) {
    three(family, [&Ours::new(1), &Ours::new(2), &Theirs::new(3)]);
}

fn two_of_theirs(family: Family) {
    three(family, [&Theirs::new(1), &Ours::new(2), &Theirs::new(3)]);
}

/// Connects three hosts, each with one socket for both of the others.
fn three(family: Family, nodes: [&dyn Node; 3]) {
    let pairs = [(0, 1), (0, 2), (1, 2)];
    for (one, two) in pairs {
        connect(family, nodes[one], nodes[two], 0, &Care::default());
    }
    for (one, two) in pairs {
        meet(nodes[one], nodes[two]);
    }
    let datafds = nodes.map(|node| node.open(0));
    let others = |from: usize| -> Vec<&Datafd> {
        (0..3).filter(|to| *to != from).map(|to| &datafds[to]).collect()
    };
    for (from, datafd) in datafds.iter().enumerate() {
        let messages = (0..100).map(|number| message(1 + 37 * number, 1000 * from + number));
        stream(datafd, &others(from), messages);
    }
    // At the same time.
    for number in 0..20 {
        for (from, datafd) in datafds.iter().enumerate() {
            write(datafd, &message(600, 1000 * from + number));
        }
    }
    for (to, datafd) in datafds.iter().enumerate() {
        let mut expected = [0; 3];
        for _ in 0..2 * 20 {
            let found = read(datafd);
            let from = usize::from_le_bytes(found[..8].try_into().unwrap()) / 1000;
            assert_ne!(from, to, "it came back");
            assert_same(&found, &message(600, 1000 * from + expected[from]));
            expected[from] += 1;
        }
    }
    // To one of them: the other must not receive it.
    let by_first_byte: Filter = Arc::new(|direction, _, bytes| match direction {
        Direction::Tx => Decision::only(bytes[0].into()),
        Direction::Rx => Decision::broadcast(),
    });
    for node in nodes {
        node.set_filter(by_first_byte.clone());
    }
    for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        for number in 0..10 {
            let host = u8::try_from(nodes[to].id()).unwrap();
            let bytes = [vec![host], message(5000, number)].concat();
            write(&datafds[from], &bytes);
            assert_same(&read(&datafds[to]), &bytes);
        }
    }
    let datafds: Vec<&Datafd> = datafds.iter().collect();
    nothing_more(&nodes, &datafds);
}
