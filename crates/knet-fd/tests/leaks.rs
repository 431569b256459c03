//! Descriptor leaks, counted in a process of their own.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    fs::{self, File},
    io::IoSlice,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use knet_fd::{
    FdKind, PairError, PairType, ReceiveBatch, Received, SocketPair, compare_files, duplicate,
    receive, set_buffer_sizes, with_raw_fd,
};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{ControlMessage, MsgFlags, sendmsg},
};

/// Excludes other tests, because descriptors can be counted only while no test opens any.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the number of open descriptors, including the one used for counting.
fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A limit on open descriptors until it is dropped.
struct Limit(u64, u64);

impl Limit {
    fn leaving(free: usize) -> Limit {
        let probes: Vec<File> = (0..free).map(|_| File::open("/dev/null").unwrap()).collect();
        let highest = probes.iter().map(AsRawFd::as_raw_fd).max();
        // The kernel assigns the lowest free numbers, so the probes have them.
        let next = highest
            .map_or_else(|| File::open("/dev/null").unwrap().as_raw_fd(), |highest| highest + 1);
        drop(probes);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(next).unwrap(), hard).unwrap();
        Limit(soft, hard)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_NOFILE, self.0, self.1).unwrap();
    }
}

#[test]
fn descriptors_are_closed_with_their_owner() {
    let _alone = alone();
    let before = open_descriptors();
    for _ in 0..1000 {
        let pair = SocketPair::new(PairType::SeqPacket, 4096).unwrap();
        let second = duplicate(&pair.left).unwrap();
        assert_eq!(open_descriptors(), before + 3);
        drop((pair, second));
    }
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_failed_pair_leaves_nothing_open() {
    let _alone = alone();
    let before = open_descriptors();
    for free in [0, 1] {
        let limit = Limit::leaving(free);
        for kind in [PairType::Stream, PairType::Datagram, PairType::SeqPacket] {
            let error = SocketPair::new(kind, 4096).unwrap_err();
            assert!(matches!(error, PairError::Create { .. }), "{error:?}");
            assert_eq!(error.errno(), libc::EMFILE);
        }
        drop(limit);
        assert_eq!(open_descriptors(), before);
    }
    let _limit = Limit::leaving(2);
    SocketPair::new(PairType::Stream, 4096).unwrap();
}

#[test]
fn a_failed_duplicate_leaves_the_original_open() {
    let _alone = alone();
    let file = File::open("/dev/null").unwrap();
    let before = open_descriptors();
    let limit = Limit::leaving(0);
    assert_eq!(duplicate(&file).unwrap_err().errno(), libc::EMFILE);
    drop(limit);
    assert_eq!(open_descriptors(), before);
    assert_eq!(FdKind::of(&file), Ok(FdKind::CharacterDevice));
}

#[test]
#[allow(unsafe_code)]
fn failed_calls_open_and_close_nothing() {
    let _alone = alone();
    let file = File::open("/dev/null").unwrap();
    let before = open_descriptors();
    for _ in 0..10 {
        receive(&file, &mut [0; 8]).unwrap_err();
        ReceiveBatch::new(2, 0, 8).receive(&file).unwrap_err();
        set_buffer_sizes(&file, 4096).unwrap_err();
        FdKind::of(&file).unwrap();
        compare_files(&file, &file).unwrap();
        for (number, is_open) in [(-1, false), (i32::MAX, false), (file.as_raw_fd(), true)] {
            // SAFETY: two of the numbers are never open, and the third is that of `file`.
            let borrowed = unsafe { with_raw_fd(number, |_| ()) };
            assert_eq!(borrowed.is_ok(), is_open);
        }
    }
    assert_eq!(open_descriptors(), before);
    assert_eq!(FdKind::of(&file), Ok(FdKind::CharacterDevice));
}

#[test]
fn descriptors_passed_with_a_message_are_not_accepted() {
    let _alone = alone();
    let SocketPair { left, right, .. } = SocketPair::new(PairType::SeqPacket, 65536).unwrap();
    let file = File::open("/dev/null").unwrap();
    let before = open_descriptors();
    let pass = |to: &OwnedFd| {
        let passed = [file.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&passed)];
        let text = [IoSlice::new(b"take this")];
        sendmsg::<()>(to.as_raw_fd(), &text, &control, MsgFlags::empty(), None).unwrap();
    };
    for _ in 0..10 {
        pass(&left);
        let message = Received::Message { len: 9, truncated: false };
        assert_eq!(receive(&right, &mut [0; 16]), Ok(message));
        pass(&left);
        pass(&left);
        let mut batch = ReceiveBatch::new(64, 0, 16);
        assert_eq!(batch.receive(&right).unwrap().messages, 2);
        assert_eq!(batch.message(1).bytes, b"take this");
    }
    assert_eq!(open_descriptors(), before);
}
