//! Adding, modifying and removing sources: errors, and reused descriptor numbers.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use knet_poller::{AddError, Events, Interest, ModifyError, Poller, RemoveError, Token};
use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use nix::unistd::{dup, dup2};

/// Returns the tokens of all sources that are readable now.
fn readable(poller: &Poller) -> Vec<Token> {
    let mut events = Events::with_capacity(16);
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().filter(|event| event.readable).map(|event| event.token).collect()
}

/// Creates a source that is always readable.
fn ready() -> OwnedFd {
    EventFd::from_value(1).unwrap().into()
}

/// Creates a source that is never readable.
fn idle() -> OwnedFd {
    EventFd::new().unwrap().into()
}

/// Closes the file of `slot` and makes its number refer to `other`, in one step.
fn replace(slot: &mut OwnedFd, other: impl AsFd) {
    dup2(other, slot).unwrap();
}

#[test]
fn files_and_directories_are_not_pollable() {
    let poller = Poller::new().unwrap();
    let file = tempfile::tempfile().unwrap();
    let directory = File::open(".").unwrap();
    for source in [&file, &directory] {
        let error = poller.add(source, Token(1), Interest::READ).unwrap_err();
        let number = source.as_raw_fd();
        assert!(matches!(error, AddError::NotPollable { fd } if fd == number));
        assert_eq!(error.errno(), Errno::EPERM as i32);
        let error = poller.modify(source, Token(1), Interest::READ).unwrap_err();
        assert!(matches!(error, ModifyError::NotAdded { fd } if fd == number));
        let error = poller.remove(source).unwrap_err();
        assert!(matches!(error, RemoveError::NotAdded { fd } if fd == number));
    }
}

#[test]
fn adding_twice_is_refused_and_changes_nothing() {
    let poller = Poller::new().unwrap();
    let source = ready();
    poller.add(&source, Token(1), Interest::READ).unwrap();
    let error = poller.add(&source, Token(2), Interest::NONE).unwrap_err();
    assert!(matches!(error, AddError::AlreadyAdded { fd } if fd == source.as_raw_fd()));
    assert_eq!(error.errno(), Errno::EEXIST as i32);
    assert_eq!(readable(&poller), [Token(1)]);
}

#[test]
fn a_source_that_was_not_added_can_be_neither_modified_nor_removed() {
    let poller = Poller::new().unwrap();
    let source = ready();
    let error = poller.modify(&source, Token(1), Interest::READ).unwrap_err();
    assert!(matches!(error, ModifyError::NotAdded { .. }));
    assert_eq!(error.errno(), Errno::ENOENT as i32);
    let error = poller.remove(&source).unwrap_err();
    assert!(matches!(error, RemoveError::NotAdded { .. }));
    assert_eq!(error.errno(), Errno::ENOENT as i32);

    poller.add(&source, Token(1), Interest::READ).unwrap();
    poller.remove(&source).unwrap();
    assert!(poller.remove(&source).is_err());
    poller.add(&source, Token(2), Interest::READ).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
}

#[test]
fn removal_silences_a_source_whose_duplicate_stays_open() {
    let poller = Poller::new().unwrap();
    let source = ready();
    let duplicate = dup(&source).unwrap();
    poller.add(&source, Token(1), Interest::READ).unwrap();
    poller.remove(&source).unwrap();
    drop(source);
    assert_eq!(readable(&poller), []);
    poller.add(&duplicate, Token(2), Interest::READ).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
}

#[test]
fn a_duplicate_is_a_source_of_its_own() {
    let poller = Poller::new().unwrap();
    let source = ready();
    let duplicate = dup(&source).unwrap();
    poller.add(&source, Token(1), Interest::READ).unwrap();
    poller.add(&duplicate, Token(2), Interest::READ).unwrap();
    let mut tokens = readable(&poller);
    tokens.sort();
    assert_eq!(tokens, [Token(1), Token(2)]);
    poller.remove(&source).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
}

#[test]
fn a_number_closed_without_remove_can_be_added_again() {
    let poller = Poller::new().unwrap();
    let mut slot = ready();
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    replace(&mut slot, idle());
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    assert_eq!(readable(&poller), []);
    replace(&mut slot, ready());
    poller.add(&slot, Token(2), Interest::READ).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
    poller.remove(&slot).unwrap();
    assert_eq!(readable(&poller), []);
}

#[test]
fn a_number_reused_without_remove_can_be_neither_modified_nor_removed() {
    let poller = Poller::new().unwrap();
    let mut slot = ready();
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    replace(&mut slot, ready());
    let error = poller.modify(&slot, Token(2), Interest::READ).unwrap_err();
    assert!(matches!(error, ModifyError::NotAdded { .. }));

    replace(&mut slot, ready());
    poller.add(&slot, Token(3), Interest::READ).unwrap();
    replace(&mut slot, ready());
    let error = poller.remove(&slot).unwrap_err();
    assert!(matches!(error, RemoveError::NotAdded { .. }));
    assert_eq!(readable(&poller), []);
}

#[test]
fn the_events_of_a_replaced_source_are_dropped_while_its_duplicate_lives() {
    let poller = Poller::new().unwrap();
    let mut slot = ready();
    let duplicate = dup(&slot).unwrap();
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    replace(&mut slot, idle());
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    assert_eq!(readable(&poller), []);
    drop(duplicate);
    assert_eq!(readable(&poller), []);
}

#[test]
fn a_source_that_comes_back_to_its_number_is_taken_over() {
    let poller = Poller::new().unwrap();
    let mut slot = ready();
    let duplicate = dup(&slot).unwrap();
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    replace(&mut slot, idle());
    poller.modify(&slot, Token(1), Interest::READ).unwrap_err();
    replace(&mut slot, &duplicate);
    poller.add(&slot, Token(2), Interest::READ).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
    poller.remove(&slot).unwrap();
    assert_eq!(readable(&poller), []);
}

#[test]
fn dropping_a_poller_leaves_its_sources_open() {
    let source = EventFd::new().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&source, Token(1), Interest::READ).unwrap();
    drop(poller);
    source.write(5).unwrap();
    assert_eq!(source.read(), Ok(5));
}

/// Returns the processor time that this thread has used.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_source_that_was_closed_without_being_removed_does_not_make_waits_spin() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    // Its number becomes that of another source while a duplicate keeps it open, so the poller forgets it
    // and the kernel does not.
    let mut source = OwnedFd::from(EventFd::from_value(1).unwrap());
    let duplicate = dup(&source).unwrap();
    poller.add(&source, Token(1), Interest::READ).unwrap();
    dup2(EventFd::new().unwrap(), &mut source).unwrap();
    poller.add(&source, Token(2), Interest::READ).unwrap();
    let (timeout, used) = (Duration::from_millis(300), cpu_time());
    assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
    assert!(cpu_time() - used < timeout / 4, "{:?}", cpu_time() - used);
    poller.waker().wake().unwrap();
    poller.wait(&mut events, None).unwrap();
    assert!(events.woken(), "it still finds other events");
    drop(duplicate);
}
