//! Path MTUs: discovered by probes that the other side answers, and discovered again when they
//! change.

use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::network::ip;
use knet_tests::wait::until;

use crate::network::{Family, both_families};
use crate::pair::{Pair, stream};

both_families! { of_the_interface }

fn of_the_interface(family: Family) {
    set_interface_mtu(1500);
    let pair = Pair::new(family, 1);
    let (here, there) = pair.open(0);
    for (node, _) in pair.ways() {
        node.set_mtu_interval(Duration::from_secs(1));
    }
    for onwire in [1500, 1400, 9000, 1500] {
        set_interface_mtu(onwire);
        // `docs/wire-format.md`, "Length arithmetic".
        let mtu = onwire - family.overhead() - 26;
        for (node, peer) in pair.ways() {
            until("both find the same MTU", || node.link(peer.id(), 0).mtu == mtu);
            until("both use it", || node.data_mtu() == mtu);
            assert!(node.link(peer.id(), 0).rx_probes > 0);
        }
        for (from, to) in [(&here, &there), (&there, &here)] {
            let lengths = [1, mtu - 1, mtu, mtu + 1, 8192, 65536];
            stream(from, &[to], lengths.map(|length| message(length, onwire + length)));
        }
    }
    pair.nothing_more(&[&here, &there]);
}

fn set_interface_mtu(onwire: usize) {
    ip(&format!("link set lo mtu {onwire}")).unwrap();
}
