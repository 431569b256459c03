//! All channels at once, and channels that are added and removed while others carry traffic.

use knet_tests::cluster::{Cluster, exactly, message};
use knet_tests::descriptors::datagram_pair;
use knet_tests::flow::during_traffic;
use knet_tests::wait::receive;
use kronosnet::{Channel, DatafdSource};

#[test]
fn all_32_channels_at_once_carry_their_own_messages() {
    let cluster = Cluster::pair();
    let numbers = || Channel::ALL.into_iter().map(Channel::get);
    let here: Vec<_> = numbers().map(|number| cluster.create(1, number)).collect();
    let there: Vec<_> = numbers().map(|number| cluster.create(2, number)).collect();
    for round in 0..10 {
        for (from, to) in [(&here, &there), (&there, &here)] {
            for (number, datafd) in from.iter().enumerate() {
                let bytes = message(500, round * 100 + number);
                assert_eq!(nix::unistd::write(datafd, &bytes), Ok(500));
            }
            for (number, datafd) in to.iter().enumerate() {
                assert_eq!(receive(datafd), message(500, round * 100 + number));
            }
        }
    }
}

#[test]
fn all_32_channels_at_once_carry_messages_of_maximum_length() {
    let cluster = Cluster::pair();
    let numbers = || Channel::ALL.into_iter().map(Channel::get);
    let here: Vec<_> = numbers().map(|number| cluster.create(1, number)).collect();
    let there: Vec<_> = numbers().map(|number| cluster.create(2, number)).collect();
    let pairs: Vec<_> = here.iter().zip(&there).collect();
    // Eight at a time: messages that overflow the link's socket would be lost.
    for pairs in pairs.chunks(8) {
        for (from, _) in pairs {
            let bytes = message(65_536, from.channel().index());
            assert_eq!(nix::unistd::write(from, &bytes), Ok(65_536));
        }
        for (_, to) in pairs {
            assert!(receive(to) == message(65_536, to.channel().index()));
        }
    }
}

#[test]
fn adding_and_removing_while_traffic_flows_loses_nothing() {
    let cluster = Cluster::pair();
    let flowing: Vec<_> =
        (0..2).map(|number| (cluster.create(1, number), cluster.create(2, number))).collect();
    during_traffic(&flowing, 700, || {
        for round in 0..200 {
            let number = 2 + round % 30;
            let (given, far) = datagram_pair();
            let brought = cluster.bring(1, &given, number);
            let created = cluster.handle(2).add_datafd(DatafdSource::Create, exactly(number));
            let created = created.unwrap();
            far.send(b"once").unwrap();
            assert_eq!(receive(&created), b"once");
            brought.remove().unwrap();
            created.remove().unwrap();
        }
    });
    assert!(cluster.problems(1).is_empty() && cluster.problems(2).is_empty());
}

#[test]
fn messages_of_a_removed_channel_do_not_come_out_of_the_next_datafd() {
    let cluster = Cluster::pair();
    let to = cluster.create(2, 0);
    for round in 0..50 {
        let (given, far) = datagram_pair();
        let datafd = cluster.bring(1, &given, 0);
        far.send(&message(10, 2 * round)).unwrap();
        assert_eq!(receive(&to), message(10, 2 * round));
        datafd.remove().unwrap();
        far.send(&message(10, 2 * round + 1)).unwrap();
    }
    let datafd = cluster.create(1, 0);
    datafd.send(b"last").unwrap();
    assert_eq!(receive(&to), b"last");
}
