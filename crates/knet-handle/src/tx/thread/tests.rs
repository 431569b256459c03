//! Tests of knet-tx, whose part they play turn by turn.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use knet_channel::ChannelRequest;
use knet_poller::Token;

use super::*;
use crate::fixtures::{DEADLINE, to_itself};
use crate::{Datafd, DatafdSource, DatafdState, FilterMessage, Handle, Verdict};

const CHANNEL: Channel = Channel::ALL[5];

fn add(handle: &Handle) -> Datafd {
    handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(CHANNEL)).unwrap()
}

/// Adds one end of a stream as a datafd, and returns the other end too.
fn bring_stream(handle: &Handle) -> (Datafd, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let channel = ChannelRequest::Exact(CHANNEL);
    (handle.add_datafd(DatafdSource::Fd(near.as_fd()), channel).unwrap(), far)
}

fn write(datafd: &Datafd, message: &[u8]) {
    assert_eq!(knet_fd::send(datafd, message).unwrap(), knet_fd::Sent::Sent { len: message.len() });
}

fn sent(handle: &Handle) -> u64 {
    handle.channel_stats(CHANNEL).tx_messages
}

/// Returns what the poller reports about datafds now.
fn events(handle: &Handle) -> Vec<Event> {
    let mut events = Events::with_capacity(MAX_EVENTS);
    handle.shared().tx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().filter(|event| event.token < Token(FIRST_SOCKET)).collect()
}

/// Returns `true` if the poller reports room in a full socket.
fn reports_room(handle: &Handle) -> bool {
    let mut events = Events::with_capacity(MAX_EVENTS);
    handle.shared().tx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().any(|event| event.token >= Token(FIRST_SOCKET) && event.writable)
}

/// Blocks all senders until [`make_room`].
fn fill(handle: &Handle, socket: SocketId) {
    let backpressure = &handle.shared().backpressure;
    backpressure.fill(socket, Instant::now());
    backpressure.let_control_go_first(socket, Instant::now() + DEADLINE);
}

fn make_room(handle: &Handle, socket: SocketId) {
    handle.shared().backpressure.make_room(socket);
}

#[test]
fn a_datafd_whose_messages_are_blocked_is_not_polled_and_neither_is_its_successor() {
    let (handle, socket) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let mut datafd = add(&handle);
    fill(&handle, socket);
    write(&datafd, b"waits for room");
    thread.turn(Some(DEADLINE));
    write(&datafd, b"waits to be read");
    assert_eq!(events(&handle), [], "it would be reported again and again");

    datafd.remove().unwrap();
    datafd = add(&handle);
    write(&datafd, b"waits to be read too");
    thread.turn(Some(DEADLINE));
    assert_eq!(events(&handle), [], "it would be reported again and again");

    assert_eq!(sent(&handle), 0);
    make_room(&handle, socket);
    while sent(&handle) < 2 {
        assert!(thread.turn(Some(DEADLINE)), "the datafd is no longer read");
    }
}

#[test]
fn a_flush_reads_the_datafds_whose_messages_were_blocked() {
    let (handle, socket) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let datafd = add(&handle);
    fill(&handle, socket);
    write(&datafd, b"waits for room");
    thread.turn(Some(DEADLINE));
    write(&datafd, b"waits to be read");
    make_room(&handle, socket);
    // For a moment, after which no event reports that there is room.
    handle.shared().backpressure.let_control_go_first(socket, Instant::now());
    thread.flush();
    assert_eq!(sent(&handle), 2);
}

#[test]
fn new_messages_leave_the_room_to_those_that_are_blocked() {
    let (handle, socket) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let datafd = add(&handle);
    let backpressure = &handle.shared().backpressure;
    backpressure.fill(socket, Instant::now());
    write(&datafd, b"waits behind others");
    thread.turn(Some(DEADLINE));
    assert_eq!(sent(&handle), 0);
    assert!(reports_room(&handle), "the thread sleeps although there may be room");
    backpressure.end(socket);
    assert!(backpressure.has_blocked(socket));
    while sent(&handle) < 1 {
        thread.turn(Some(DEADLINE));
    }
    assert!(!backpressure.has_blocked(socket));
    assert!(!reports_room(&handle), "the thread would be woken again and again");
}

/// Another process may have read it, or the kernel discarded what it had reported.
#[test]
fn a_datafd_with_nothing_to_read_stays_in_use() {
    let (handle, _) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let (_stream, mut far) = bring_stream(&handle);
    for number in 1..=3 {
        far.write_all(b"hello").unwrap();
        let reported = events(&handle);
        for _ in 0..2 {
            thread.read(&reported[0]);
            assert_eq!(sent(&handle), number, "the second read finds nothing");
        }
        assert_eq!(handle.datafd_status(CHANNEL).unwrap().state, DatafdState::Active);
    }
}

/// The event was fetched before the application removed the datafd and added another one.
#[test]
fn an_event_of_a_removed_datafd_does_not_affect_its_successor() {
    let (handle, _) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let (datafd, far) = bring_stream(&handle);
    drop(far);
    let reported = events(&handle);
    assert!(reported[0].hangup);
    datafd.remove().unwrap();
    let successor = add(&handle);
    thread.read(&reported[0]);
    assert_eq!(handle.datafd_status(CHANNEL).unwrap().state, DatafdState::Active);

    write(&successor, b"it is read");
    assert!(thread.turn(Some(DEADLINE)));
    assert_eq!(sent(&handle), 1);
}

#[test]
fn a_flush_waits_for_room_however_much_other_channels_write() {
    let deadline = Instant::now() + DEADLINE;
    while !flush_waits_while_others_write() {
        assert!(Instant::now() < deadline, "the blocked message is not sent");
    }
}

/// Returns `true` if a flush waited for more turns than it may take, and `false` if these took longer than its
/// timeout.
fn flush_waits_while_others_write() -> bool {
    let (handle, socket) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let datafd = add(&handle);
    fill(&handle, socket);
    write(&datafd, b"waits for room");
    thread.turn(Some(DEADLINE));

    let busy = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    write(&busy, b"x");
    let (shared, far) = (Arc::downgrade(handle.shared()), busy.as_fd().try_clone_to_owned());
    let (far, turns) = (far.unwrap(), AtomicUsize::new(0));
    let write_again = move |_: &mut FilterMessage<'_>| {
        if turns.fetch_add(1, Relaxed) < 2 * MAX_FLUSH_TURNS {
            let _ = knet_fd::send(&far, b"x").unwrap();
        } else if let Some(shared) = shared.upgrade() {
            shared.backpressure.make_room(socket);
        }
        Verdict::Reject
    };
    handle.set_filter(write_again).unwrap();
    thread.flush();
    sent(&handle) == 1
}
