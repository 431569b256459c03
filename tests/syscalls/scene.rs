//! Two hosts whose system calls may fail.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use knet_faults::Faults;
use knet_tests::cluster::{Cluster, QUICK};
use knet_tests::log;
use knet_tests::process::{cpu_time_of, fd_of_udp_port, open_fds};
use knet_tests::wait::{DEADLINE, next_message, until};
use kronosnet::{Datafd, Link, PingTimers};
use nix::errno::Errno;

/// Waits until no other test runs; none does until the guard is dropped.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has reported that itself.
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    log::start();
    guard
}

/// Runs a scenario in which calls may fail, while no other does.
pub(crate) fn run(scenario: impl FnOnce(&Faults) + Send) {
    let _alone = alone();
    knet_faults::run(scenario);
}

/// Host 1 and host 2, with two links between them and a datafd each.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) datafds: [Datafd; 2],
    datafd_end: RawFd,
    sent: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let cluster = Cluster::new(2, 2);
        let first = cluster.create(1, 0);
        let before = open_fds();
        let second = cluster.create(2, 0);
        let ours = second.as_fd().as_raw_fd();
        let opened = open_fds().into_iter().filter(|fd| !before.contains(fd));
        // The end of the application, its duplicates, and the end of the handle, which has another inode.
        let inode = |fd: RawFd| std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        let datafd_end = opened.into_iter().find(|&fd| inode(fd) != inode(ours)).unwrap();
        Self { cluster, datafds: [first, second], datafd_end, sent: 0 }
    }

    /// Returns the descriptor of host 2's socket for a link.
    pub(crate) fn socket(&self, link: u8) -> RawFd {
        let local = self.cluster.link(2, 1, link).local_addr().unwrap();
        fd_of_udp_port(local.port())
    }

    /// Returns the descriptor of host 2's end of its datafd.
    pub(crate) fn datafd_end(&self) -> RawFd {
        self.datafd_end
    }

    /// Returns host 2's first link, which gives up on its peer soon from now on.
    pub(crate) fn impatient_link(&self) -> Link {
        let link = self.cluster.link(2, 1, 0);
        let timeout = Duration::from_millis(400);
        link.set_ping_timers(PingTimers { timeout, ..QUICK }).unwrap();
        link
    }

    /// Asserts that no link of host 2 went down since it came up.
    pub(crate) fn is_up_since_it_began(&self, errno: Errno) {
        for link in [0, 1] {
            let stats = self.cluster.link(2, 1, link).status().unwrap().stats;
            assert_eq!((stats.up_count, stats.down_count), (1, 0), "{errno}, link {link}");
        }
    }

    /// Sends messages from host 1 until one arrives.
    pub(crate) fn is_heard(&mut self) {
        let give_up = Instant::now() + DEADLINE;
        let mut buffer = [0; 8];
        while Instant::now() < give_up {
            self.sent += 1;
            // It has nowhere to go until the links are up again.
            let _ = self.datafds[0].send(&self.sent.to_le_bytes());
            if knet_tests::wait::readable_within(&self.datafds[1], Duration::from_millis(10)) {
                while self.datafds[1].recv(&mut buffer).is_ok() {}
                return;
            }
        }
        panic!("no message arrives");
    }

    /// Writes a message to the datafd of host 1, for knet-tx to send.
    pub(crate) fn writes(&mut self) {
        self.sent += 1;
        nix::unistd::write(&self.datafds[0], &self.sent.to_le_bytes()).unwrap();
    }

    /// Sends a message from host 1, whether it arrives or not.
    pub(crate) fn sends_unheard(&mut self) {
        self.sent += 1;
        self.datafds[0].send(&self.sent.to_le_bytes()).unwrap();
    }

    /// Sends a message from host 1, which arrives.
    pub(crate) fn sends(&mut self) {
        self.sent += 1;
        let message = self.sent.to_le_bytes();
        self.datafds[0].send(&message).unwrap();
        next_message(&self.datafds[1], |received| received == message);
    }
}

/// Measures what threads of a name do.
pub(crate) struct Work {
    thread: &'static str,
    start: Instant,
    used: Duration,
}

impl Work {
    pub(crate) fn of(thread: &'static str) -> Self {
        Self { thread, start: Instant::now(), used: cpu_time_of(thread) }
    }

    /// Returns for how long, in whole seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// Asserts that they use much less processor time than one of them would in a loop. Waits for the end of
    /// the first second: in less, the work for the messages of the test counts too much.
    pub(crate) fn is_little(&self) {
        until("a second has passed", || self.seconds() > 0);
        let (time, used) = (self.start.elapsed(), cpu_time_of(self.thread) - self.used);
        assert!(used < time / 4, "{} used {used:?} of {time:?}", self.thread);
    }
}
