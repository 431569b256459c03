//! Random calls and packets: none panics, no timer is due right after it was handled, and no packet
//! is accepted from a source that the rules reject ([`admission`]).

mod admission;
mod driver;
mod steps;

use knet_engine::{AclAction, AclEntry, DatagramMeta};
use knet_wire::{HostId, LinkId, Ping, SequenceNumber};
use proptest::prelude::*;

use crate::driver::Driver;
use crate::steps::{Step, dynamic_socket, place, steps};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_order_of_calls_and_packets_breaks_the_engine(
        steps in prop::collection::vec(steps(), 1..150),
    ) {
        let mut driver = Driver::new();
        set_up(&mut driver);
        for step in steps {
            driver.take(step);
            driver.drain();
        }
        // What is taken away leaves no timer behind.
        let hosts: Vec<_> = driver.engine.hosts().collect();
        for host in hosts {
            for link in LinkId::ALL {
                driver.take(Step::Enable(host, link, false));
                driver.take(Step::ClearLink(host, link));
            }
            driver.take(Step::RemoveHost(host));
        }
        driver.drain();
        prop_assert_eq!(driver.engine.hosts().count(), 0);
        prop_assert_eq!(driver.engine.poll_timeout(), None);
        prop_assert_eq!(driver.engine.reassembly_memory(), 0);
    }
}

/// Something to break: a host with a static link and a dynamic one, both of which are up.
fn set_up(driver: &mut Driver) {
    let host = HostId::new(2);
    let [fixed, dynamic, ..] = LinkId::ALL;
    let (socket, version) = dynamic_socket(dynamic);
    let [source, last] = [0, 4].map(|at| place(version, at));
    let entry = AclEntry::range(AclAction::Accept, source.ip(), last.ip());
    let (cookie, sequence) = ([0; 16], SequenceNumber::new(0));
    let ping = Ping { link: dynamic, cookie, sequence, timed: true }.encode_ping(host);
    for step in [
        Step::AddHost(host),
        Step::AddLink(host, fixed),
        Step::AddDynamic(host, dynamic, socket, version),
        Step::InsertEntry(host, dynamic, 0, entry.expect("one family, in order")),
        Step::SetPongCount(host, fixed, 1),
        Step::SetPongCount(host, dynamic, 1),
        Step::Enable(host, fixed, true),
        Step::Enable(host, dynamic, true),
        Step::Datagram(DatagramMeta { socket, source, local: None }, ping.to_vec()),
        Step::Answer,
    ] {
        driver.take(step);
        driver.drain();
    }
    for link in [fixed, dynamic] {
        assert!(driver.is_up(host, link), "link {link}");
    }
}
