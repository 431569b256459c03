//! Rows 12 and 13: the channel to which a message is delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicI8, Ordering};

use knet_tests::cluster::{Cluster, channel, flush};
use knet_tests::wait::receive;
use kronosnet::{Direction, Error, Verdict};

/// Installs a filter at a host that moves messages of one direction to the channel in `to`.
fn move_to(cluster: &Cluster, at: u16, direction: Direction, to: &Arc<AtomicI8>) {
    let to = to.clone();
    let filter = move |message: &mut kronosnet::FilterMessage<'_>| {
        if message.direction() == direction && message.payload().starts_with(b"move") {
            message.set_channel(to.load(Ordering::SeqCst));
        }
        Verdict::Broadcast
    };
    cluster.handle(at).set_filter(filter).unwrap();
}

#[test]
fn row_12_data_without_a_local_datafd_are_dropped_and_counted_per_channel() {
    let cluster = Cluster::pair();
    let (lonely, from) = (cluster.create(1, 0), cluster.create(1, 5));
    let to = cluster.create(2, 5);
    for _ in 0..3 {
        lonely.send(b"to nobody").unwrap();
    }
    // By the time this arrives, the messages dropped before it have been counted.
    from.send(b"to somebody").unwrap();
    assert_eq!(receive(&to), b"to somebody");

    let stats = cluster.stats(2, 0);
    assert_eq!((stats.rx_no_datafd, stats.rx_messages), (3, 0));
    let stats = cluster.stats(2, 5);
    assert_eq!((stats.rx_messages, stats.rx_bytes, stats.rx_no_datafd), (1, 11, 0));
    assert!(cluster.problems(1).is_empty() && cluster.problems(2).is_empty());

    let late = cluster.create(2, 0);
    lonely.send(b"now").unwrap();
    assert_eq!(receive(&late), b"now");
}

#[test]
fn row_13_the_filter_moves_messages_to_another_channel_when_sending() {
    let cluster = Cluster::pair();
    let from = cluster.create(1, 1);
    let (same, other) = (cluster.create(2, 1), cluster.create(2, 2));
    move_to(&cluster, 1, Direction::Tx, &Arc::new(AtomicI8::new(2)));
    from.send(b"move it").unwrap();
    assert_eq!(receive(&other), b"move it");
    nix::unistd::write(&from, b"move that").unwrap();
    assert_eq!(receive(&other), b"move that");
    from.send(b"leave it").unwrap();
    assert_eq!(receive(&same), b"leave it");
}

#[test]
fn row_13_the_filter_moves_messages_to_another_channel_when_receiving() {
    let cluster = Cluster::pair();
    let from = cluster.create(1, 1);
    let (same, other) = (cluster.create(2, 1), cluster.create(2, 31));
    move_to(&cluster, 2, Direction::Rx, &Arc::new(AtomicI8::new(31)));
    from.send(b"move it").unwrap();
    assert_eq!(receive(&other), b"move it");
    from.send(b"leave it").unwrap();
    assert_eq!(receive(&same), b"leave it");
}

#[test]
fn row_13_the_filter_may_move_a_message_at_both_ends() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 1), cluster.create(2, 3));
    move_to(&cluster, 1, Direction::Tx, &Arc::new(AtomicI8::new(2)));
    cluster
        .handle(2)
        .set_filter(|message| {
            assert_eq!(message.channel(), 2, "the channel in the packet");
            message.set_channel(channel(3));
            Verdict::Broadcast
        })
        .unwrap();
    from.send(b"move it").unwrap();
    assert_eq!(receive(&to), b"move it");
}

#[test]
fn row_13_a_channel_out_of_range_drops_the_message_when_sending() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 1), cluster.create(2, 1));
    let target = Arc::new(AtomicI8::new(0));
    move_to(&cluster, 1, Direction::Tx, &target);
    for out_of_range in [32, 100, i8::MAX, -1, i8::MIN] {
        target.store(out_of_range, Ordering::SeqCst);
        let error = from.send(b"move it").unwrap_err();
        assert!(matches!(error, Error::FilterChannel(at) if at == out_of_range), "{error}");
        assert_eq!(error.errno(), nix::libc::EINVAL);
        nix::unistd::write(&from, b"move that").unwrap();
        flush(cluster.handle(1));
    }
    let stats = cluster.handle(1).channel_stats(channel(1));
    assert_eq!((stats.tx_filter_error, stats.tx_messages), (10, 0));
    from.send(b"leave it").unwrap();
    assert_eq!(receive(&to), b"leave it");
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn row_13_a_channel_out_of_range_drops_the_message_when_receiving() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 1), cluster.create(2, 1));
    let target = Arc::new(AtomicI8::new(0));
    move_to(&cluster, 2, Direction::Rx, &target);
    for (count, out_of_range) in (1..).zip([32, 100, i8::MAX, -1, i8::MIN]) {
        target.store(out_of_range, Ordering::SeqCst);
        from.send(b"move it").unwrap();
        from.send(b"leave it").unwrap();
        assert_eq!(receive(&to), b"leave it");
        let stats = cluster.stats(2, 1);
        assert_eq!((stats.rx_filter_error, stats.rx_messages), (count, count));
    }
    assert!(cluster.problems(2).is_empty());
}
