//! Clones of a handle: each may be used from any thread, and dropping the last one ends the handle.

use std::thread;

use knet_tests::cluster::{Cluster, channel, link_id, message, wait_up};
use knet_tests::wait::{DEADLINE, receive};
use kronosnet::{
    ChannelRequest, Datafd, DatafdEvent, DatafdSource, EventStream, Handle, Host, HostId, Link,
    LocalSocket, Policy,
};

fn shared<T: Send + Sync>() {}

#[test]
fn all_types_are_send_and_sync() {
    shared::<Handle>();
    shared::<Host>();
    shared::<Link>();
    shared::<Datafd>();
    shared::<LocalSocket>();
    shared::<EventStream<DatafdEvent>>();
}

#[test]
fn clones_share_one_handle() {
    let one = Handle::new(HostId::new(7)).unwrap();
    let two = one.clone();
    assert_eq!(two.host_id(), HostId::new(7));
    two.set_forwarding(true).unwrap();
    assert!(one.forwarding());
    let _events = one.datafd_events();
    let datafd = two.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    assert_eq!(one.channels(), [datafd.channel()]);
    drop(two);
    one.send(channel(0), b"x").unwrap_err();
    assert_eq!(one.channels(), [datafd.channel()]);
}

#[test]
fn handles_may_have_equal_ids() {
    let handles: Vec<_> = (0..20).map(|_| Handle::new(HostId::new(1)).unwrap()).collect();
    for handle in &handles {
        handle.add_host(HostId::new(2)).unwrap();
    }
    assert!(handles.iter().all(|handle| handle.hosts() == [HostId::new(2)]));
}

#[test]
fn a_stream_ends_when_the_handle_is_dropped() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let events = handle.datafd_events();
    drop(handle);
    let ended = crossbeam_channel::RecvTimeoutError::Disconnected;
    assert_eq!(events.recv_timeout(DEADLINE).unwrap_err(), ended);
}

/// Calls everything at once from several threads: nothing hangs, panics or disturbs the traffic.
#[test]
fn many_threads_may_change_everything_under_traffic() {
    const ROUNDS: u16 = 150;
    let cluster = Cluster::new(2, 2);
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    // Every message is duplicated: link 1 comes and goes.
    for (at, peer) in [(1, 2), (2, 1)] {
        cluster.peer(at, peer).set_policy(Policy::Active).unwrap();
    }
    let handle = cluster.handle(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..ROUNDS {
                let host = handle.add_host(HostId::new(100 + number)).unwrap();
                host.set_name(&format!("host number {number}")).unwrap();
                host.remove().unwrap();
            }
        });
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let any = ChannelRequest::Any;
                handle.add_datafd(DatafdSource::Create, any).unwrap().remove().unwrap();
            }
        });
        scope.spawn(|| {
            let link = handle.host(HostId::new(2)).unwrap().link(link_id(1)).unwrap();
            for _ in 0..10 {
                link.disable().unwrap();
                link.enable().unwrap();
                wait_up(&link);
            }
        });
        scope.spawn(|| {
            for number in 0..ROUNDS {
                handle.set_manual_mtu(Some(400 + number)).unwrap();
                let _ = (handle.hosts(), handle.drop_stats(), handle.channel_stats(channel(0)));
                let _ = handle.link_events();
            }
        });
        for number in 0..ROUNDS {
            for (from, to) in [(&one, &two), (&two, &one)] {
                let bytes = message(1000, number.into());
                nix::unistd::write(from, &bytes).unwrap();
                assert_eq!(receive(to), bytes);
            }
        }
    });
    assert_eq!(handle.hosts(), [HostId::new(2)]);
    assert_eq!(handle.channels(), [channel(0)]);
}
