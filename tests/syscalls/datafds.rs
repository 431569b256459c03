//! Reading and writing datafds, and watching them.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use knet_faults::{Call, Fault, Faults};
use knet_tests::cluster::{channel, exactly};
use knet_tests::descriptors::{raw_pty, stream_pair, udp_pair};
use knet_tests::log;
use knet_tests::wait::{next_like, until};
use kronosnet::{Datafd, DatafdProblem, DatafdSource, Error};
use nix::errno::Errno;

use crate::scene::{Scene, Work, run};

/// The calls by which knet-tx reads datafds.
const READS: [Call; 5] = [Call::Recvmmsg, Call::Recvfrom, Call::Recvmsg, Call::Read, Call::Preadv2];

/// Makes a scene in which channel 5 of host 1 is a stream that is readable and fails to be read. Returns what
/// keeps the stream open, and the work of knet-tx.
fn with_unreadable_datafd(
    faults: &Faults,
    errno: Errno,
) -> (Scene, (Datafd, UnixStream, UnixStream), Work) {
    let scene = Scene::new();
    let (near, mut far) = stream_pair();
    let datafd = scene.cluster.bring(1, &near, 5);
    let work = Work::of("knet-tx");
    for call in READS {
        faults.add(Fault::new(call, errno).of_thread("knet-tx"));
    }
    far.write_all(b"late").unwrap();
    (scene, (datafd, near, far), work)
}

#[test]
fn a_datafd_that_cannot_be_read_is_reported_once_and_the_others_go_on() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EIO, Errno::EBADF, Errno::ENOMEM] {
        run(|faults| {
            let (mut scene, _brought, work) = with_unreadable_datafd(faults, errno);
            let problems = scene.cluster.problems(1);
            let event = next_like(problems, |event| event.channel == channel(5));
            let DatafdProblem::ReadFailed { errno: reported, .. } = event.problem else {
                panic!("{event:?}");
            };
            assert_eq!(reported, errno as i32);
            faults.clear();
            (0..5).for_each(|_| scene.sends());
            scene.writes();
            work.is_little();
            assert!(scene.cluster.problems(1).try_recv().is_err(), "it is reported once");
        });
    }
}

#[test]
fn a_datafd_that_is_readable_and_has_nothing_is_tried_less_and_less_often() {
    run(|faults| {
        let (mut scene, _brought, work) = with_unreadable_datafd(faults, Errno::EAGAIN);
        work.is_little();
        let (tries, seconds) = (faults.failed(), work.seconds());
        assert!(tries < 2 * (40 + seconds), "{tries} tries in {seconds} s");
        assert_eq!(log::count(&["WARN", "readable and has nothing"]), 1, "{}", log::all());
        (0..5).for_each(|_| scene.sends());

        faults.clear();
        let read = || scene.cluster.handle(1).channel_stats(channel(5)).tx_messages;
        until("the message is read", || read() == 1);
    });
}

/// Anybody can send datagrams with a wrong checksum, which make a socket readable and are discarded.
#[test]
fn a_udp_datafd_that_is_readable_and_has_nothing_is_tried_again_soon() {
    run(|faults| {
        let mut scene = Scene::new();
        let (near, far) = udp_pair();
        let _brought = scene.cluster.bring(1, &near, 5);
        let work = Work::of("knet-tx");
        faults.add(Fault::new(Call::Recvmmsg, Errno::EAGAIN).of_thread("knet-tx"));
        far.send(b"late").unwrap();
        // With pauses that double up to a second, this would take a minute and a half.
        until("it is tried soon each time", || faults.failed() > 100);
        work.is_little();
        let (tries, seconds) = (faults.failed(), work.seconds());
        assert!(tries < 1100 * (1 + seconds), "{tries} tries in {seconds} s");
        let text = ["WARN", "wrong checksum"];
        assert_eq!(log::count(&text), 1, "{}", log::all());
        (0..5).for_each(|_| scene.sends());

        faults.clear();
        let read = || scene.cluster.handle(1).channel_stats(channel(5)).tx_messages;
        until("the message is read", || read() == 1);
    });
}

#[test]
fn a_device_without_calls_that_do_not_wait_is_asked_for_them_once() {
    const MESSAGES: u64 = 20;
    run(|faults| {
        let scene = Scene::new();
        let ends = [raw_pty(), raw_pty()];
        let _brought = [1, 2].map(|at| scene.cluster.bring(at, &ends[usize::from(at) - 1].0, 5));
        let [sent, received] = [1, 2].map(|at| {
            let handle = scene.cluster.handle(at).clone();
            move || handle.channel_stats(channel(5))
        });
        for number in 1..=MESSAGES {
            nix::unistd::write(&ends[0].1, b"typed").unwrap();
            until("it is read", || sent().tx_messages == number);
            until("it is written", || received().rx_messages == number);
        }
        let asked = [("knet-tx", Call::Preadv2), ("knet-rx", Call::Pwritev2)];
        assert_eq!(asked.map(|(thread, call)| faults.made(thread, call)), [1, 1]);
    });
}

#[test]
fn a_datafd_that_cannot_be_written_loses_its_messages_and_no_others() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EIO, Errno::EAGAIN, Errno::ENOBUFS] {
        run(|faults| {
            let mut scene = Scene::new();
            scene.sends();
            let work = Work::of("knet-rx");
            for call in [Call::Sendmmsg, Call::Sendmsg, Call::Sendto, Call::Write] {
                let fault = Fault::new(call, errno).of_thread("knet-rx");
                faults.add(fault.on(scene.datafd_end()));
            }
            let stats = |scene: &Scene| scene.cluster.handle(2).channel_stats(channel(0));
            let lost = |scene: &Scene| stats(scene).rx_dropped_full + stats(scene).rx_write_failed;
            for _ in 0..5 {
                scene.writes();
            }
            until("five are lost", || lost(&scene) == 5);
            let event = next_like(scene.cluster.problems(2), |event| event.channel == channel(0));
            let known = matches!(
                event.problem,
                DatafdProblem::Full { .. } | DatafdProblem::WriteFailed { .. }
            );
            assert!(known, "{event:?}");
            work.is_little();
            faults.clear();
            scene.sends();
        });
    }
}

#[test]
fn what_cannot_be_watched_is_an_error_that_leaves_nothing() {
    run(|faults| {
        let mut scene = Scene::new();
        let handle = scene.cluster.handle(1);
        for errno in [Errno::ENOMEM, Errno::ENOSPC, Errno::EBADF] {
            let failed =
                |error: &Error| matches!(error, Error::Os { .. }) && error.errno() == errno as i32;
            faults.add(Fault::new(Call::EpollCtl, errno).doing(nix::libc::EPOLL_CTL_ADD));
            let error = handle.bind(([127, 0, 0, 1], 0).into()).map(drop).unwrap_err();
            assert!(failed(&error), "{error}");
            let error = handle.add_datafd(DatafdSource::Create, exactly(9)).map(drop).unwrap_err();
            assert!(failed(&error), "{error}");
            let (near, _far) = stream_pair();
            let brought = handle.add_datafd(DatafdSource::Fd(near.as_fd()), exactly(9)).map(drop);
            assert!(failed(brought.as_ref().unwrap_err()), "{brought:?}");
            faults.clear();
            let datafd = handle.add_datafd(DatafdSource::Create, exactly(9)).unwrap();
            handle.remove_datafd(&datafd).unwrap();
        }
        scene.sends();
    });
}
