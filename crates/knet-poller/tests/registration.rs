//! Adding, modifying and removing: what is refused, and what becomes of numbers that are used again.

// Clippy knows tests, but not the functions that they call.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use knet_poller::{AddError, Events, Interest, ModifyError, Poller, RemoveError, Token};
use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use nix::unistd::{dup, dup2};

/// The tokens of everything that is readable now.
fn readable(poller: &Poller) -> Vec<Token> {
    let mut events = Events::with_capacity(16);
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().filter(|event| event.readable).map(|event| event.token).collect()
}

/// A source that is always readable.
fn ready() -> OwnedFd {
    EventFd::from_value(1).unwrap().into()
}

/// A source that never is.
fn idle() -> OwnedFd {
    EventFd::new().unwrap().into()
}

/// Closes what `slot` refers to and makes its number mean `other`, in one step.
fn put(other: impl AsFd, slot: &mut OwnedFd) {
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
fn what_is_not_added_can_be_neither_modified_nor_removed() {
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
    put(idle(), &mut slot);
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    assert_eq!(readable(&poller), []);
    put(ready(), &mut slot);
    poller.add(&slot, Token(2), Interest::READ).unwrap();
    assert_eq!(readable(&poller), [Token(2)]);
    poller.remove(&slot).unwrap();
    assert_eq!(readable(&poller), []);
}

#[test]
fn a_number_closed_without_remove_is_neither_modified_nor_removed_for_a_stranger() {
    let poller = Poller::new().unwrap();
    let mut slot = ready();
    poller.add(&slot, Token(1), Interest::READ).unwrap();
    put(ready(), &mut slot);
    let error = poller.modify(&slot, Token(2), Interest::READ).unwrap_err();
    assert!(matches!(error, ModifyError::NotAdded { .. }));

    put(ready(), &mut slot);
    poller.add(&slot, Token(3), Interest::READ).unwrap();
    put(ready(), &mut slot);
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
    put(idle(), &mut slot);
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
    put(idle(), &mut slot);
    poller.modify(&slot, Token(1), Interest::READ).unwrap_err();
    put(&duplicate, &mut slot);
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
