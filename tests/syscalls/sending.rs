//! Sending to the sockets of links.

use knet_faults::{Call, Fault};
use knet_tests::wait::until;
use kronosnet::{DownReason, LinkState};
use nix::errno::Errno;

use crate::scene::{Scene, Work, run};

/// What `sendmmsg(2)` may fail with: a firewall, a filter of system calls, a security module, a lack of
/// memory, a full queue, no route, a descriptor that something has closed, and no reason at all.
const ERRORS: [Errno; 10] = [
    Errno::EPERM,
    Errno::ENOSYS,
    Errno::EACCES,
    Errno::ENOMEM,
    Errno::ENOBUFS,
    Errno::EAGAIN,
    Errno::ENETUNREACH,
    Errno::ECONNREFUSED,
    Errno::EBADF,
    Errno::EIO,
];

#[test]
fn a_socket_that_cannot_be_sent_to_costs_little_and_is_replaced_by_the_other_link() {
    for errno in [Errno::EPERM, Errno::EBADF, Errno::EAGAIN, Errno::ENOBUFS] {
        run(|faults| {
            let mut scene = Scene::new();
            let link = scene.impatient_link();
            let work = Work::of("knet-rx");
            for call in [Call::Sendmmsg, Call::Sendmsg, Call::Sendto] {
                faults.add(Fault::new(call, errno).on(scene.socket(0)));
            }
            until("the link is down", || !link.status().unwrap().state.is_up());
            if ![Errno::EAGAIN, Errno::ENOBUFS].contains(&errno) {
                let refused = LinkState::Down(DownReason::TransportError { errno: errno as i32 });
                until("it has the reason", || link.status().unwrap().state == refused);
            }
            assert!(scene.cluster.link(2, 1, 1).status().unwrap().state.is_up());
            // Host 1 hears no pongs over the first link any longer, either.
            scene.is_heard();
            work.is_little();

            faults.clear();
            until("the link is up again", || link.status().unwrap().state.is_up());
            scene.is_heard();
        });
    }
}

#[test]
fn a_send_that_fails_once_takes_no_link_down() {
    run(|faults| {
        let mut scene = Scene::new();
        for (number, errno) in ERRORS.into_iter().enumerate() {
            faults.add(Fault::new(Call::Sendmmsg, errno).on(scene.socket(0)).times(1));
            until("it has failed", || faults.failed() > number as u64);
            (0..5).for_each(|_| scene.sends());
            scene.is_up_since_it_began(errno);
        }
    });
}

#[test]
fn a_call_of_send_is_one_system_call() {
    const MESSAGES: u64 = 100;
    run(|faults| {
        let mut scene = Scene::new();
        let name = "sender";
        let sender = |scene: &mut Scene| {
            // Its first message prepares what later ones use again.
            scene.sends_unheard();
            let before = Call::ALL.map(|call| faults.made(name, call));
            (0..MESSAGES).for_each(|_| scene.sends_unheard());
            let calls = Call::ALL.iter().zip(before);
            let calls = calls.map(|(&call, before)| (call, faults.made(name, call) - before));
            calls.filter(|&(_, made)| made > 0).collect::<Vec<_>>()
        };
        let made = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, || sender(&mut scene)).unwrap().join().unwrap()
        });
        assert_eq!(made, [(Call::Sendmmsg, MESSAGES)]);
    });
}
