//! Forks: what happens in another process to a handle that it did not create.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use knet_faults::in_fork;
use knet_tests::cluster::{exactly, link_id};
use knet_tests::log;
use knet_tests::process::{open_fds, watched_sources};
use kronosnet::{DatafdSource, Error, Handle, HostId};

use crate::scene::{Scene, Work, alone};

/// The error of each call in a process that was forked later.
fn refused(scene: &Scene) -> [Error; 9] {
    let handle = scene.cluster.handle(1);
    let link = scene.cluster.link(1, 2, 0);
    [
        scene.datafds[0].send(b"from the child").unwrap_err(),
        handle.add_datafd(DatafdSource::Create, exactly(9)).unwrap_err(),
        handle.remove_datafd(&scene.datafds[0]).unwrap_err(),
        handle.bind(([127, 0, 0, 1], 0).into()).map(drop).unwrap_err(),
        handle.set_forwarding(false).unwrap_err(),
        handle.clone().close().unwrap_err(),
        link.disable().unwrap_err(),
        link.clone().clear().unwrap_err(),
        scene.cluster.peer(1, 2).wait_until_reachable(Duration::from_secs(60)).unwrap_err(),
    ]
}

#[test]
fn a_forked_process_cannot_disturb_the_handles_of_its_parent() {
    let _alone = alone();
    let owner = std::process::id();
    let mut scene = Some(Scene::new());
    let counts =
        |scene: &Scene| [1, 2].map(|at| scene.cluster.link(at, 3 - at, 0).status().unwrap());
    let before = counts(scene.as_ref().unwrap());
    let any = ([127, 0, 0, 1], 0).into();
    let mut local = Some(scene.as_ref().unwrap().cluster.handle(1).bind(any).unwrap());
    let watched = watched_sources();
    // The memory of the child is a copy.
    let outcome = in_fork(|| {
        for error in refused(scene.as_ref().unwrap()) {
            assert!(
                matches!(error, Error::Forked { owner: process } if process == owner),
                "{error}"
            );
        }
        // Its socket would leave the poller, which is not a copy.
        drop(local.take());
        drop(scene.take());
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(watched_sources(), watched);
    drop(local);
    let scene = scene.as_mut().unwrap();
    for _ in 0..20 {
        scene.sends();
    }
    let after = counts(scene);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.stats.down_count, before.stats.down_count);
    }
    // Its poller and its wakers still work.
    let link = scene.cluster.link(1, 2, 1);
    link.disable().unwrap();
    link.clear().unwrap();
    let third = scene.cluster.create(1, 7);
    third.send(b"a channel that the child did not know").unwrap();
}

/// A thread of the parent may have locked anything when the process was forked, and it stays locked.
#[test]
fn a_forked_process_leaves_alone_what_the_threads_of_its_parent_may_have_locked() {
    let _alone = alone();
    let scene = Scene::new();
    let handle = scene.cluster.handle(1).clone();
    let removed = scene.cluster.create(1, 5);
    handle.remove_datafd(&removed).unwrap();
    let local = handle.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let events = handle.link_events();
    let bell = events.ready().clone();
    let outcome = in_fork(|| {
        // Whether it was removed is behind a lock.
        let refused = removed.send(b"from the child");
        assert!(matches!(refused, Err(Error::Forked { .. })), "{refused:?}");
        let before = open_fds();
        drop(local);
        assert_eq!(open_fds(), before, "the registry of sockets is behind a lock");
        drop((removed, handle, scene));
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty), "the end of a stream is, too");
        drop(events);
        assert_eq!(bell.try_recv(), Err(TryRecvError::Empty), "and so is that of its channel");
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn a_process_that_was_forked_twice_is_neither_of_the_others() {
    let _alone = alone();
    let mut scene = Scene::new();
    let outcome = in_fork(|| {
        let mut own = Scene::new();
        let outcome = in_fork(|| {
            let mut grandchild = Scene::new();
            for scene in [&scene, &own] {
                for error in refused(scene) {
                    assert!(matches!(error, Error::Forked { .. }), "{error}");
                }
            }
            grandchild.sends();
        });
        assert_eq!(outcome, Ok(()));
        own.sends();
    });
    assert_eq!(outcome, Ok(()));
    scene.sends();
}

#[test]
fn a_handle_that_is_created_after_forking_works() {
    let _alone = alone();
    let outcome = in_fork(|| {
        let mut scene = Scene::new();
        scene.sends();
        drop(scene);
    });
    assert_eq!(outcome, Ok(()));
}

/// Some daemons close "all" descriptors when they start.
#[test]
fn a_handle_whose_descriptors_were_closed_by_number_does_not_spin_and_no_call_hangs() {
    let _alone = alone();
    let outcome = in_fork(|| {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let events = handle.datafd_events();
        let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
        let host = handle.add_host(HostId::new(2)).unwrap();
        let any = ([127, 0, 0, 1], 0).into();
        let config = kronosnet::LinkConfig::udp(any, ([127, 0, 0, 1], 9).into());
        let link = host.add_link(link_id(0), config).unwrap();
        link.enable().unwrap();
        for fd in open_fds().into_iter().filter(|&fd| fd > 2) {
            let fd: RawFd = fd;
            let _ = nix::unistd::close(fd);
        }
        // Both are waiting with the descriptors that they had; this lets them find out.
        let _ = handle.set_forwarding(true);
        let [rx, tx] = ["knet-rx", "knet-tx"].map(Work::of);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(500) {
            let _ = link.disable();
            let _ = link.enable();
            std::thread::park_timeout(Duration::from_millis(5));
        }
        rx.is_little();
        tx.is_little();
        handle.set_forwarding(false).unwrap();
        assert!(log::count(&["ERROR"]) <= 4, "{}", log::all());
        // Closing the numbers again would be a fault of this test, at which the standard library aborts.
        std::mem::forget((link, host, datafd, events, handle));
    });
    assert_eq!(outcome, Ok(()));
}
