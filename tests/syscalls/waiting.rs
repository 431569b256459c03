//! Waiting for sources, and waking the threads that wait.

use std::io::Write;
use std::time::{Duration, Instant};

use knet_faults::{Call, Fault};
use knet_tests::cluster::{QUICK, exactly, watch};
use knet_tests::descriptors::stream_pair;
use knet_tests::log;
use knet_tests::process::{knet_threads, waits_for_events};
use knet_tests::wait::until;
use kronosnet::{DatafdSource, DownReason, Handle, HostId, LinkState};
use nix::errno::Errno;
use std::os::fd::AsFd;

use crate::scene::{Scene, Work, run};

#[test]
fn a_poller_that_cannot_wait_is_tried_less_and_less_often() {
    for errno in [Errno::EBADF, Errno::EINVAL, Errno::EPERM] {
        run(|faults| {
            let mut scene = Scene::new();
            let works = ["knet-rx", "knet-tx"].map(Work::of);
            let links = [0, 1].map(|link| scene.cluster.link(2, 1, link));
            faults.add(Fault::new(Call::EpollWait, errno));
            let refused = LinkState::Down(DownReason::ReceiveError { errno: errno as i32 });
            for link in &links {
                until("the link has the reason", || link.status().unwrap().state == refused);
            }
            works.iter().for_each(Work::is_little);
            // Four threads, each with pauses that double up to 100 ms.
            let (tries, seconds) = (faults.failed(), works[0].seconds());
            assert!(tries < 4 * (20 + 10 * (1 + seconds)), "{errno}: {tries} tries in {seconds} s");
            assert_eq!(log::count(&["ERROR", "waiting for sockets fails"]), 2, "{}", log::all());
            assert!(log::count(&["ERROR", "waiting for datafds fails"]) <= 2, "{}", log::all());

            faults.clear();
            for link in &links {
                until("the link is up again", || link.status().unwrap().state.is_up());
            }
            scene.is_heard();
            scene.sends();
        });
    }
}

#[test]
fn a_wait_that_fails_once_changes_nothing() {
    run(|faults| {
        let mut scene = Scene::new();
        for errno in [Errno::EINTR, Errno::EBADF, Errno::EINVAL, Errno::EPERM, Errno::ENOMEM] {
            for thread in ["knet-rx", "knet-tx"] {
                let failed = faults.failed();
                faults.add(Fault::new(Call::EpollWait, errno).of_thread(thread).times(1));
                // knet-tx waits for a message.
                scene.writes();
                until("it has failed", || faults.failed() > failed);
                (0..5).for_each(|_| scene.sends());
            }
        }
        for link in [0, 1] {
            let stats = scene.cluster.link(2, 1, link).status().unwrap().stats;
            assert_eq!((stats.up_count, stats.down_count), (1, 0), "link {link}");
        }
    });
}

#[test]
fn a_thread_that_cannot_be_woken_keeps_no_call_waiting() {
    run(|faults| {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let events = handle.datafd_events();
        handle.set_forwarding(true).unwrap();
        let (near, mut far) = stream_pair();
        handle.add_datafd(DatafdSource::Fd(near.as_fd()), exactly(0)).unwrap();
        // Its timers end the waits of knet-rx.
        let any = ([127, 0, 0, 1], 0).into();
        watch(&handle, 2, 0, any, ([127, 0, 0, 1], 9).into(), QUICK);
        // A thread that is awake when the handle is closed ends without being woken.
        until("knet-tx waits for a message", || waits_for_events("knet-tx"));
        for errno in [Errno::EBADF, Errno::EIO] {
            faults.clear();
            faults.add(Fault::new(Call::Write, errno));
            handle.set_forwarding(false).unwrap();
        }
        let start = Instant::now();
        handle.close().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60), "it waits a second");
        assert_eq!(log::count(&["ERROR", "could not be woken"]), 2, "{}", log::all());
        assert_eq!(log::count(&["ERROR", "left behind", "knet-tx"]), 1, "{}", log::all());
        drop(events);
        faults.clear();
        // It ends as soon as anything wakes it.
        far.write_all(b"good morning").unwrap();
        until("the thread ends", || knet_threads().is_empty());
    });
}
