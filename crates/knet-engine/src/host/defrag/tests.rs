//! Each rule of reassembly separately, with one host.

use std::time::{Duration, Instant};

use knet_wire::{Body, DataHeader, Fragment, FragmentPart, Packet, SequenceNumber};

use super::DropReason::*;
use super::*;

mod model;
mod shared;

/// A data frame of a fragmented message, as it comes in.
#[derive(Clone, Debug)]
struct Frame {
    header: DataHeader,
    part: FragmentPart,
    payload: Vec<u8>,
}

fn frame(sequence: u16, index: u8, count: u8, payload: &[u8]) -> Frame {
    let part = FragmentPart::new(index, count).unwrap();
    let header = DataHeader {
        sequence: SequenceNumber::new(sequence),
        compression: 0,
        broadcast: false,
        fragment: Fragment::Part(part),
        channel: 3,
    };
    Frame { header, part, payload: payload.to_vec() }
}

/// The packets of a message.
fn cut(sequence: u16, message: &[u8], mtu: usize) -> Vec<Frame> {
    let count = u8::try_from(message.len().div_ceil(mtu)).unwrap();
    message.chunks(mtu).zip(1..).map(|(bytes, k)| frame(sequence, k, count, bytes)).collect()
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

/// The receiver of one peer's frames.
struct Receiver {
    reassembler: Reassembler,
    window: DuplicateWindow,
    pool: BufferPool,
    now: Instant,
}

impl Receiver {
    fn new() -> Self {
        Self::with_pool(BufferPool::default())
    }

    fn with_budget(budget: usize) -> Self {
        Self::with_pool(BufferPool::shared_only(budget))
    }

    fn with_pool(pool: BufferPool) -> Self {
        Self {
            reassembler: Reassembler::default(),
            window: DuplicateWindow::default(),
            pool,
            now: Instant::now(),
        }
    }

    fn add(&mut self, frame: &Frame) -> Outcome {
        let Frame { header, part, payload } = frame;
        let (window, pool) = (&mut self.window, &mut self.pool);
        self.reassembler.add(self.now, header, *part, payload, window, pool)
    }

    fn takes(&mut self, frame: &Frame) {
        let outcome = self.add(frame);
        assert!(matches!(outcome, Outcome::Incomplete), "{outcome:?} on {:?}", frame.part);
    }

    fn drops(&mut self, frame: &Frame, reason: DropReason) {
        let outcome = self.add(frame);
        let Outcome::Dropped(found) = outcome else { panic!("{outcome:?} on {:?}", frame.part) };
        assert_eq!(found, reason);
    }

    fn completes(&mut self, frame: &Frame) -> ReassembledMessage {
        let outcome = self.add(frame);
        let Outcome::Complete(message) = outcome else { panic!("{outcome:?}") };
        message
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn expire(&mut self) -> u64 {
        self.reassembler.take_incomplete();
        self.reassembler.handle_timeout(self.now, &mut self.pool);
        self.reassembler.take_incomplete()
    }

    /// Another message of the peer comes in whole.
    fn see(&mut self, sequence: u16) {
        self.window.check_delivered(SequenceNumber::new(sequence));
        self.reassembler.forget_older(&self.window, &mut self.pool);
    }
}

#[test]
fn fragments_complete_the_message_in_every_order() {
    let whole = message(350);
    let frames = cut(1, &whole, 100);
    let mut orders = vec![vec![]];
    for k in 0..4 {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<usize>| {
                (0..=order.len()).map(move |at| [&order[..at], &[k], &order[at..]].concat())
            })
            .collect();
    }
    assert_eq!(orders.len(), 24);
    for order in orders {
        let mut receiver = Receiver::new();
        for &k in &order[..3] {
            receiver.takes(&frames[k]);
        }
        let completed = receiver.completes(&frames[order[3]]);
        assert_eq!(completed.bytes(), whole, "{order:?}");
        assert_eq!(completed.header(), &frames[order[3]].header);
        assert_eq!((receiver.pool.in_use(), receiver.reassembler.memory()), (0, 0));
    }
}

#[test]
fn the_captured_frames_v9_to_v11_give_the_message_that_was_sent() {
    let header = |index| [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 3, index, 0];
    let sent = b"0123456789".repeat(20);
    let mut receiver = Receiver::new();
    for (index, slice) in [(2, &sent[74..148]), (3, &sent[148..]), (1, &sent[..74])] {
        let datagram = [&header(index)[..], slice].concat();
        let Body::Data(data) = Packet::decode(&datagram).unwrap().body else { panic!("no data") };
        let Fragment::Part(part) = data.header.fragment else { panic!("no fragment") };
        let payload = data.payload.to_vec();
        let frame = Frame { header: data.header, part, payload };
        if index == 1 {
            assert_eq!(receiver.completes(&frame).bytes(), sent);
        } else {
            receiver.takes(&frame);
        }
    }
}

#[test]
fn a_frame_with_another_header_is_not_mixed_in() {
    let whole = message(250);
    let frames = cut(1, &whole, 100);
    let mut receiver = Receiver::new();
    receiver.takes(&frames[0]);
    let good = &frames[1];
    let changed = |change: fn(&mut DataHeader)| {
        let mut frame = good.clone();
        change(&mut frame.header);
        frame
    };
    receiver.drops(&changed(|header| header.channel = 4), Inconsistent);
    receiver.drops(&changed(|header| header.broadcast = true), Inconsistent);
    receiver.drops(&changed(|header| header.compression = 1), Inconsistent);
    receiver.drops(&frame(1, 2, 4, &good.payload), Inconsistent);
    receiver.drops(&frame(1, 2, 2, &good.payload[..9]), Inconsistent);
    receiver.takes(good);
    assert_eq!(receiver.completes(&frames[2]).bytes(), whole);
}

#[test]
fn lengths_that_do_not_fit_are_refused_whichever_came_first() {
    let mut receiver = Receiver::new();
    receiver.takes(&frame(1, 1, 3, &[1; 100]));
    receiver.drops(&frame(1, 2, 3, &[2; 99]), Inconsistent);
    receiver.drops(&frame(1, 2, 3, &[2; 101]), Inconsistent);
    receiver.drops(&frame(1, 3, 3, &[3; 101]), Inconsistent);
    receiver.takes(&frame(1, 3, 3, &[3; 100]));
    assert_eq!(receiver.completes(&frame(1, 2, 3, &[2; 100])).bytes().len(), 300);

    receiver.takes(&frame(2, 3, 3, &[3; 100]));
    receiver.drops(&frame(2, 1, 3, &[1; 99]), Inconsistent);
    receiver.takes(&frame(2, 1, 3, &[1; 100]));
    assert_eq!(receiver.completes(&frame(2, 2, 3, &[2; 100])).bytes().len(), 300);
}

#[test]
fn a_message_of_65536_bytes_passes_and_one_more_byte_does_not() {
    let longest = message(65_536);
    for mtu in [259, 1000, 32_768, 65_481, 65_535] {
        let frames = cut(1, &longest, mtu);
        for last_first in [false, true] {
            let mut frames = frames.clone();
            let mut too_long = frames.last().unwrap().clone();
            too_long.payload.push(0);
            let over = if too_long.payload.len() > mtu { Inconsistent } else { TooLong };
            let mut receiver = Receiver::new();
            if last_first {
                frames.rotate_right(1);
            } else {
                receiver.takes(&frames.remove(0));
                receiver.drops(&too_long, over);
            }
            let completing = frames.pop().unwrap();
            frames.iter().for_each(|frame| receiver.takes(frame));
            assert_eq!(receiver.completes(&completing).bytes(), longest);
        }
    }
}

#[test]
fn what_can_only_become_too_long_is_refused_at_once() {
    let mut receiver = Receiver::new();
    // Nothing is left for the last one.
    receiver.drops(&frame(1, 1, 3, &[0; 32_768]), TooLong);
    // The others can't be shorter than the last one.
    receiver.drops(&frame(1, 254, 254, &[0; 259]), TooLong);
    receiver.drops(&frame(1, 1, 2, &[0; 65_537]), TooLong);
    receiver.takes(&frame(1, 254, 254, &[0; 258]));
    receiver.drops(&frame(1, 1, 254, &[0; 259]), TooLong);
    receiver.takes(&frame(1, 1, 254, &[0; 258]));
    receiver.drops(&frame(1, 2, 254, &[0; 65_537]), TooLong);
}

#[test]
fn a_refused_first_fragment_starts_nothing() {
    let mut receiver = Receiver::new();
    receiver.drops(&frame(1, 1, 2, &[]), Empty);
    receiver.drops(&frame(1, 1, 3, &[0; 65_000]), TooLong);
    assert_eq!(receiver.reassembler.next_timeout(), None);
    receiver.takes(&frame(1, 1, 2, b"ab"));
    assert_eq!(receiver.completes(&frame(1, 2, 2, b"c")).bytes(), b"abc");
}

#[test]
fn copies_are_dropped_before_and_after_completion() {
    let frames = cut(1, &message(200), 100);
    let mut receiver = Receiver::new();
    receiver.takes(&frames[0]);
    receiver.drops(&frames[0], Duplicate);
    receiver.completes(&frames[1]);
    receiver.drops(&frames[0], AlreadyDone);
    receiver.drops(&frames[1], AlreadyDone);
    assert_eq!(receiver.pool.in_use(), 0);
}

#[test]
fn messages_whose_fragments_are_mixed_both_complete() {
    let (a, b) = (cut(1, &message(200), 100), cut(2, &message(150), 90));
    let mut receiver = Receiver::new();
    receiver.takes(&b[0]);
    receiver.takes(&a[0]);
    assert_eq!(receiver.completes(&b[1]).bytes(), message(150));
    assert_eq!(receiver.completes(&a[1]).bytes(), message(200));
}

#[test]
fn an_older_message_in_between_does_no_harm() {
    let frames = cut(50, &message(200), 100);
    let mut receiver = Receiver::new();
    receiver.takes(&frames[0]);
    for older in [49, 18, 1] {
        receiver.see(older);
    }
    receiver.completes(&frames[1]);
}

/// The furthest that one number moves the duplicate window.
const LONGEST_STEP: u16 = 32_767;

#[test]
fn only_what_the_window_has_left_behind_is_forgotten() {
    let frames = cut(65_530, &message(200), 100);
    let mut receiver = Receiver::new();
    receiver.takes(&frames[0]);
    receiver.see(65_530u16.wrapping_add(LONGEST_STEP));
    receiver.completes(&frames[1]);

    let mut receiver = Receiver::new();
    receiver.takes(&cut(100, &message(200), 100)[0]);
    receiver.see(100 + LONGEST_STEP);
    receiver.see(100 + (SPAN - 1));
    assert_eq!(receiver.reassembler.slots.len(), 1);
    receiver.see(100 + SPAN);
    assert_eq!((receiver.pool.in_use(), receiver.reassembler.take_incomplete()), (0, 1));
}

#[test]
fn a_fragment_is_not_put_together_with_one_of_the_round_before() {
    let (old, new) = (cut(7, &[1; 200], 100), cut(7, &[2; 200], 100));
    let mut receiver = Receiver::new();
    receiver.takes(&old[0]);
    // Whole messages in between, which do not concern the reassembler.
    for number in [30_000, 60_000] {
        receiver.window.follow(SequenceNumber::new(number));
    }
    receiver.takes(&new[1]);
    assert_eq!(receiver.completes(&new[0]).bytes(), [2; 200]);
    assert_eq!(receiver.reassembler.take_incomplete(), 1);
}

#[test]
fn of_33_incomplete_messages_the_one_that_waits_longest_is_lost() {
    let messages: Vec<_> = (1..=33).map(|sequence| cut(sequence, &message(300), 100)).collect();
    let mut receiver = Receiver::new();
    for frames in &messages[..32] {
        receiver.takes(&frames[0]);
    }
    receiver.pass(Duration::from_secs(1));
    // All but numbers 3 and 4 got a new fragment since; a duplicate is not new.
    for (sequence, frames) in (1..).zip(&messages[..32]) {
        if sequence == 3 || sequence == 4 {
            receiver.drops(&frames[0], Duplicate);
        } else {
            receiver.takes(&frames[1]);
        }
    }
    receiver.takes(&messages[32][0]);
    assert_eq!(receiver.reassembler.slots.len(), 32);
    assert_eq!(receiver.reassembler.take_incomplete(), 1);
    receiver.drops(&messages[2][1], AlreadyDone);
    receiver.takes(&messages[3][1]);
    for (sequence, frames) in (1..=32).zip(&messages) {
        if sequence != 3 {
            receiver.completes(&frames[2]);
        }
    }
}

#[test]
fn a_restarted_peer_does_not_get_its_old_fragments_mixed_in() {
    let (old, new) = (cut(7, &[1; 200], 100), cut(7, &[2; 200], 100));
    let mut receiver = Receiver::new();
    receiver.takes(&old[0]);
    receiver.window.reset();
    receiver.reassembler.forget_older(&receiver.window, &mut receiver.pool);
    assert_eq!(receiver.pool.in_use(), 0);
    receiver.takes(&new[1]);
    assert_eq!(receiver.completes(&new[0]).bytes(), [2; 200]);

    // The next process has sent eight messages to others.
    let [old, new] = [1, 2].map(|byte| [8, 9].map(|n| cut(n, &[byte; 200], 100)));
    receiver.takes(&old[0][0]);
    receiver.takes(&old[1][0]);
    receiver.window.rewind(SequenceNumber::new(8));
    receiver.reassembler.forget_older(&receiver.window, &mut receiver.pool);
    receiver.takes(&new[1][1]);
    assert_eq!(receiver.completes(&new[1][0]).bytes(), [2; 200]);
    assert_eq!(receiver.completes(&old[0][1]).bytes(), [1; 200]);
}

#[test]
fn an_incomplete_message_expires_after_its_latest_new_fragment() {
    let frames = cut(1, &message(300), 100);
    let mut receiver = Receiver::new();
    receiver.takes(&frames[0]);
    receiver.pass(REASSEMBLY_TIMEOUT / 2);
    receiver.takes(&frames[1]);
    let due = receiver.now + REASSEMBLY_TIMEOUT;
    receiver.pass(REASSEMBLY_TIMEOUT / 2);
    receiver.drops(&frames[1], Duplicate);
    assert_eq!(receiver.reassembler.next_timeout(), Some(due));
    assert_eq!(receiver.expire(), 0);
    receiver.now = due - Duration::from_nanos(1);
    assert_eq!(receiver.expire(), 0);
    receiver.now = due;
    assert_eq!(receiver.expire(), 1);
    assert_eq!((receiver.reassembler.next_timeout(), receiver.pool.in_use()), (None, 0));
    receiver.drops(&frames[2], AlreadyDone);
}

#[test]
fn memory_is_as_much_as_the_messages_may_need() {
    let mut receiver = Receiver::new();
    assert_eq!((receiver.reassembler.slots.capacity(), receiver.reassembler.memory()), (0, 0));
    receiver.takes(&cut(1, &message(2700), 900)[0]);
    assert_eq!(receiver.reassembler.memory(), 4096, "three of 900 bytes");
    receiver.takes(&cut(2, &message(10_001), 1000)[10]);
    assert_eq!(receiver.reassembler.memory(), 4096 + 1024, "a parked one of 1 byte");
    receiver.takes(&cut(2, &message(10_001), 1000)[0]);
    assert_eq!(receiver.reassembler.memory(), 4096 + 16_384, "no longer parked");
    assert_eq!(receiver.pool.in_use(), receiver.reassembler.memory());
    receiver.reassembler.clear(&mut receiver.pool);
    assert_eq!((receiver.pool.in_use(), receiver.reassembler.memory()), (0, 0));
}

#[test]
fn a_steady_stream_uses_the_same_memory_again() {
    let mut receiver = Receiver::new();
    let mut places = Vec::new();
    for sequence in 1..=100 {
        let whole = message(5000 + usize::from(sequence));
        let mut frames = cut(sequence, &whole, 1400);
        // Last fragment first, so that parking takes part.
        frames.rotate_right(1);
        let completing = frames.pop().unwrap();
        frames.iter().for_each(|frame| receiver.takes(frame));
        let completed = receiver.completes(&completing);
        assert_eq!(completed.bytes(), whole);
        places.push(completed.bytes().as_ptr());
        receiver.pool.recycle(completed);
    }
    assert!(places.iter().all(|place| *place == places[0]));
}

#[test]
fn a_peer_at_the_end_of_the_budget_loses_its_oldest_messages() {
    let mut receiver = Receiver::with_budget(8192);
    let frames = |sequence| cut(sequence, &message(4000), 2000);
    for sequence in 1..=4 {
        receiver.takes(&frames(sequence)[0]);
        receiver.pass(Duration::from_secs(1));
        assert!(receiver.pool.in_use() <= 8192);
    }
    receiver.drops(&frames(1)[1], AlreadyDone);
    receiver.drops(&frames(2)[1], AlreadyDone);
    receiver.completes(&frames(3)[1]);
    receiver.completes(&frames(4)[1]);

    // A long message needs the room of several short ones.
    for sequence in 5..=6 {
        receiver.takes(&frames(sequence)[0]);
    }
    let long = cut(7, &message(8000), 4000);
    receiver.takes(&long[0]);
    receiver.completes(&long[1]);
    assert_eq!(receiver.pool.in_use(), 0);
}

#[test]
fn a_message_without_memory_is_discarded_and_may_start_later() {
    let mut receiver = Receiver::with_budget(4096);
    let frames = cut(1, &message(4000), 2000);
    // Another peer has it all.
    let mut held = 0;
    let other = receiver.pool.of_host(&mut held).take(4096).unwrap();
    receiver.drops(&frames[0], OverBudget);
    assert_eq!(receiver.reassembler.take_incomplete(), 0, "nothing of it was kept");
    receiver.pool.of_host(&mut held).give_back(other);
    receiver.takes(&frames[0]);
    receiver.completes(&frames[1]);

    // Started, but it cannot grow: its memory must return to the others.
    let frames = cut(2, &message(3001), 1000);
    receiver.takes(&frames[3]);
    let other = receiver.pool.of_host(&mut held).take(2048).unwrap();
    receiver.drops(&frames[0], OverBudget);
    assert_eq!(receiver.reassembler.take_incomplete(), 1);
    receiver.pool.of_host(&mut held).give_back(other);
    assert_eq!((receiver.pool.in_use(), receiver.reassembler.memory()), (0, 0));
    receiver.drops(&frames[0], AlreadyDone);
}
