//! Tests of knet-tx, whose part they play turn by turn.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};
use std::thread;

use knet_channel::ChannelRequest;
use knet_poller::Token;
use knet_wire::HostId;

use super::*;
use crate::filter;
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

/// Returns knet-tx of a handle whose socket is full, and a datafd whose first message is blocked.
fn with_blocked_message(handle: &Handle, socket: SocketId) -> (TxThread<'_>, Datafd) {
    let mut thread = TxThread::new(handle.shared());
    let datafd = add(handle);
    fill(handle, socket);
    write(&datafd, b"waits for room");
    thread.turn(Some(DEADLINE));
    (thread, datafd)
}

#[test]
fn a_datafd_whose_messages_are_blocked_is_not_polled_and_neither_is_its_successor() {
    let (handle, socket) = to_itself();
    let (mut thread, mut datafd) = with_blocked_message(&handle, socket);
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
    let (mut thread, datafd) = with_blocked_message(&handle, socket);
    write(&datafd, b"waits to be read");
    make_room(&handle, socket);
    // For a moment, after which no event reports that there is room.
    handle.shared().backpressure.let_control_go_first(socket, Instant::now());
    thread.flush(Instant::now() + DEADLINE);
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

#[test]
fn a_slow_filter_of_one_channel_leaves_the_others_their_turn() {
    let (handle, _) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let slow = add(&handle);
    let other = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    let filter = move |message: &mut FilterMessage<'_>| {
        let start = Instant::now();
        while message.payload() == b"slow" && start.elapsed() <= filter::SLICE {}
        Verdict::Broadcast
    };
    handle.set_filter(filter).unwrap();
    (0..5).for_each(|_| write(&slow, b"slow"));
    write(&other, b"fast");
    let sent_of = |datafd: &Datafd| handle.channel_stats(datafd.channel()).tx_messages;
    while sent_of(&other) == 0 {
        assert!(thread.turn(Some(DEADLINE)));
        assert!(sent_of(&slow) <= 1, "the filter was called for a whole batch");
    }
    for number in sent_of(&slow)..5 {
        assert_eq!(sent_of(&slow), number, "one per turn");
        thread.turn(Some(DEADLINE));
    }
    assert_eq!(sent_of(&slow), 5);
    write(&slow, b"later");
    thread.flush(Instant::now() + DEADLINE);
    assert_eq!(sent_of(&slow), 6, "its datafd is read again");
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
    let (handle, socket) = to_itself();
    let (mut thread, _datafd) = with_blocked_message(&handle, socket);

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
    thread.flush(Instant::now() + DEADLINE);
    assert_eq!(sent(&handle), 1);
}

#[test]
fn a_flush_ends_at_its_deadline_although_a_link_takes_nothing() {
    let (handle, socket) = to_itself();
    let (mut thread, _datafd) = with_blocked_message(&handle, socket);
    thread.flush(Instant::now());
    assert_eq!(sent(&handle), 0);
}

#[test]
fn a_flush_sends_all_waiting_messages_however_many_there_are() {
    let (handle, _) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let datafd = add(&handle);
    let mut written = 0;
    while knet_fd::send(&datafd, b"x").unwrap() == (knet_fd::Sent::Sent { len: 1 }) {
        written += 1;
    }
    assert!(written > 2 * BATCH as u64, "more than one turn sends");
    thread.flush(Instant::now() + DEADLINE);
    assert_eq!(sent(&handle), written);
}

/// A handle with a filter that keeps each message until it is let go. Returns what reports those that arrive at the
/// filter, and what lets them go.
fn with_gate() -> (Handle, Datafd, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let _ = handle.datafd_events();
    handle.set_forwarding(true).unwrap();
    let datafd = add(&handle);
    let (arrived, arrivals) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let filter = move |_: &mut FilterMessage<'_>| {
        arrived.send(()).unwrap();
        let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
        Verdict::Reject
    };
    handle.set_filter(filter).unwrap();
    (handle, datafd, arrivals, open)
}

/// Requests a flush in a thread of its own, and waits until it is requested.
fn request_flush(handle: &Handle, done: &mpsc::Sender<()>) {
    let (worker, done) = (handle.shared().clone(), done.clone());
    let start = Instant::now();
    thread::spawn(move || {
        worker.tx.flush();
        done.send(()).unwrap();
    });
    while handle.shared().tx.requested_flushes() == 0 {
        assert!(start.elapsed() < DEADLINE, "no flush is requested");
        thread::yield_now();
    }
}

/// Its wake-up may be consumed by the flush that goes on.
#[test]
fn a_flush_that_is_requested_during_another_is_not_forgotten() {
    let (handle, datafd, arrivals, open) = with_gate();
    let (done, over) = mpsc::channel();
    write(&datafd, b"x");
    arrivals.recv_timeout(DEADLINE).unwrap();
    request_flush(&handle, &done);
    // Read by the first flush, which takes the request before it reads.
    write(&datafd, b"y");
    open.send(()).unwrap();
    arrivals.recv_timeout(DEADLINE).unwrap();
    assert_eq!(handle.shared().tx.requested_flushes(), 0, "the first request is being served");
    request_flush(&handle, &done);
    open.send(()).unwrap();
    for _ in 0..2 {
        over.recv_timeout(DEADLINE).expect("a request was forgotten");
    }
}

/// What made the socket readable was read by another process.
#[test]
fn a_hang_up_ends_a_datafd_without_data() {
    let (handle, _) = to_itself();
    let mut thread = TxThread::new(handle.shared());
    let (_stream, mut far) = bring_stream(&handle);
    far.write_all(b"x").unwrap();
    let mut event = events(&handle)[0];
    thread.read(&event);
    event.hangup = true;
    thread.read(&event);
    assert_eq!(sent(&handle), 1);
    assert_eq!(handle.datafd_status(CHANNEL).unwrap().state, DatafdState::Disabled);
}
