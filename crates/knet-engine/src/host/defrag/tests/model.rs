//! Long random sequences of packets, good and bad, compared with a simple model.
//!
//! The model keeps each fragment separately and checks all of them again whenever one arrives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct ModelMessage {
    position: u64,
    header: DataHeader,
    count: u8,
    parts: BTreeMap<u8, Vec<u8>>,
    updated: Instant,
}

#[derive(Debug, Default)]
struct Model {
    window: DuplicateWindow,
    messages: Vec<ModelMessage>,
}

/// [`Outcome`] in a form that can be compared.
#[derive(Debug, Eq, PartialEq)]
enum Expected {
    Incomplete,
    Complete(Vec<u8>),
    Dropped(DropReason),
}

impl Model {
    fn add(&mut self, now: Instant, frame: &Frame) -> Expected {
        let s = frame.header.sequence;
        let started = self.window.check_started(s).is_seen();
        self.forget();
        let position = self.window.position_of(s);
        let at = match self.messages.iter().position(|message| message.position == position) {
            Some(at) => at,
            None if started => return Expected::Dropped(AlreadyDone),
            None => {
                let (header, count) = (frame.header, frame.part.count());
                let parts = BTreeMap::new();
                self.messages.push(ModelMessage { position, header, count, parts, updated: now });
                self.messages.len() - 1
            }
        };
        let message = &mut self.messages[at];
        let refused = refusal(message, frame);
        if refused.is_none() {
            message.parts.insert(frame.part.index(), frame.payload.clone());
            message.updated = now;
            self.window.mark_started(s);
        }
        if let Some(reason) = refused {
            self.messages.retain(|message| !message.parts.is_empty());
            return Expected::Dropped(reason);
        }
        if message.parts.len() == usize::from(message.count) {
            let message = self.messages.remove(at);
            return Expected::Complete(message.parts.into_values().flatten().collect());
        }
        if self.messages.len() > 32 {
            // The new one is the last in the list.
            let oldest = (0..32)
                .min_by_key(|&at| {
                    let message = &self.messages[at];
                    (message.updated, message.position)
                })
                .unwrap();
            self.messages.remove(oldest);
        }
        Expected::Incomplete
    }

    fn forget(&mut self) {
        let reach = self.window.position() - u64::from(SPAN - 1)..=self.window.position();
        self.messages.retain(|message| reach.contains(&message.position));
    }

    fn expire(&mut self, now: Instant) -> usize {
        let before = self.messages.len();
        self.messages.retain(|message| now < message.updated + REASSEMBLY_TIMEOUT);
        before - self.messages.len()
    }
}

/// The rules for one more packet of a message (`docs/wire-format.md`, "Fragments").
fn refusal(message: &ModelMessage, frame: &Frame) -> Option<DropReason> {
    let (first, other) = (message.header, frame.header);
    let same = (first.compression, first.broadcast, first.channel)
        == (other.compression, other.broadcast, other.channel);
    if !same || message.count != frame.part.count() {
        return Some(Inconsistent);
    }
    if message.parts.contains_key(&frame.part.index()) {
        return Some(Duplicate);
    }
    if frame.payload.is_empty() {
        return Some(Empty);
    }
    if frame.payload.len() > 65_536 {
        return Some(TooLong);
    }
    let mut lens: BTreeMap<u8, usize> =
        message.parts.iter().map(|(&index, part)| (index, part.len())).collect();
    lens.insert(frame.part.index(), frame.payload.len());
    let last = lens.remove(&message.count);
    let fragment_len = lens.values().next().copied();
    if lens.values().any(|&len| Some(len) != fragment_len)
        || last.is_some_and(|last| fragment_len.is_some_and(|len| last > len))
    {
        return Some(Inconsistent);
    }
    let inner = fragment_len.or(last)? * usize::from(message.count - 1);
    (inner + last.unwrap_or(1) > 65_536).then_some(TooLong)
}

/// What happens to a receiver.
#[derive(Clone, Debug)]
enum Step {
    Frame(Frame),
    /// A whole message with this offset from the first number.
    See(u16),
    Pass(Duration),
    Reset,
    /// The next process has sent so many messages fewer.
    Rewind(u16),
}

/// The packets of up to 60 messages in a row: some lost, some duplicated, all slightly out of
/// order.
///
/// Half of the time most packets are lost, so that hardly any message becomes complete.
fn traffic(start: u16) -> impl Strategy<Value = Vec<(u32, Step)>> {
    let good = prop::collection::vec((1..3000usize, 20..900usize, any::<u8>()), 1..50);
    let broken = prop::collection::vec((600..3000usize, 20..300usize, any::<u8>()), 30..60);
    prop_oneof![(good, Just(1)), (broken, Just(12))].prop_flat_map(move |(messages, loss)| {
        let frames: Vec<(u32, Frame)> = (0u16..)
            .zip(messages)
            .filter_map(|(n, (len, mtu, seed))| {
                let bytes: Vec<u8> = message(len).iter().map(|byte| byte ^ seed).collect();
                (len > mtu).then(|| (u32::from(n), cut(number(start, n), &bytes, mtu)))
            })
            .flat_map(|(n, frames)| frames.into_iter().map(move |frame| (n * 10, frame)))
            .collect();
        // How often each arrives, and how late.
        let fates = prop::collection::vec(
            prop_oneof![loss => Just(vec![]), 9 => delay(1), 2 => delay(2)],
            frames.len(),
        );
        fates.prop_map(move |fates| {
            let each = frames.iter().zip(fates);
            each.flat_map(|((at, frame), delays)| {
                delays.into_iter().map(move |late| (at + late, Step::Frame(frame.clone())))
            })
            .collect()
        })
    })
}

fn delay(times: usize) -> impl Strategy<Value = Vec<u32>> {
    let late = prop_oneof![8 => 0..30u32, 2 => 0..300u32, 1 => 0..450u32];
    prop::collection::vec(late, times)
}

/// What an attacker or a fault might send to the same messages, and what else happens.
fn disturbance(start: u16) -> impl Strategy<Value = (u32, Step)> {
    let lens = prop_oneof![0..4usize, 250..262usize, 0..1000usize, 30_000..66_000usize];
    let part = (1..=254u8, 2..=254u8).prop_map(|(a, b)| (a.min(b), a.max(b).max(2)));
    let small = (1..=3u8, 2..=3u8).prop_map(|(a, b)| (a.min(b), b));
    let frames = (0..50u16, prop_oneof![part, small], lens, any::<u8>(), 0..20u8, 0..20u8)
        .prop_map(move |(n, (index, count), len, byte, compression, channel)| {
            let mut frame = frame(number(start, n), index, count, &vec![byte; len]);
            frame.header.compression = if compression < 8 { 0 } else { compression % 8 };
            frame.header.channel = if channel < 16 { 3 } else { channel };
            Step::Frame(frame)
        });
    let step = prop_oneof![
        40 => frames,
        4 => (0..60u16).prop_map(Step::See),
        1 => (0..u16::MAX).prop_map(Step::See),
        2 => (4000..4200u16).prop_map(Step::See),
        4 => (0..6000u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => Just(Step::Reset),
        1 => (0..100u16).prop_map(Step::Rewind),
    ];
    (0..500u32, step)
}

fn number(start: u16, n: u16) -> u16 {
    start.wrapping_add(n).max(1)
}

fn run(start: u16, mut steps: Vec<(u32, Step)>) -> Result<(), TestCaseError> {
    steps.sort_by_key(|(at, _)| *at);
    let (mut receiver, mut model) = (Receiver::new(), Model::default());
    for (_, step) in steps {
        match step {
            Step::Frame(frame) => {
                let found = match receiver.add(&frame) {
                    Outcome::Incomplete => Expected::Incomplete,
                    Outcome::Dropped(reason) => Expected::Dropped(reason),
                    Outcome::Complete(message) => {
                        prop_assert_eq!(message.header(), &frame.header);
                        prop_assert!(message.bytes().len() <= 65_536);
                        let bytes = message.bytes().to_vec();
                        receiver.pool.recycle(message);
                        Expected::Complete(bytes)
                    }
                };
                prop_assert_eq!(found, model.add(receiver.now, &frame), "{:?}", frame.part);
            }
            Step::See(n) => {
                receiver.see(number(start, n));
                model.window.follow(SequenceNumber::new(number(start, n)));
                model.forget();
            }
            Step::Pass(time) => {
                receiver.pass(time);
                prop_assert_eq!(receiver.expire(), model.expire(receiver.now) as u64);
            }
            Step::Reset => {
                receiver.window.reset();
                model.window.reset();
                receiver.reassembler.forget_older(&receiver.window, &mut receiver.pool);
                model.forget();
            }
            Step::Rewind(back) => {
                let Some(newest) = model.window.newest() else { continue };
                let back = SequenceNumber::new(newest.get().wrapping_sub(back));
                receiver.window.rewind(back);
                model.window.rewind(back);
                receiver.reassembler.forget_older(&receiver.window, &mut receiver.pool);
                model.forget();
            }
        }
        let first_due = model.messages.iter().map(|message| message.updated).min();
        let first_due = first_due.map(|updated| updated + REASSEMBLY_TIMEOUT);
        prop_assert_eq!(receiver.reassembler.next_timeout(), first_due);
        prop_assert_eq!(receiver.reassembler.memory(), receiver.pool.in_use());
        prop_assert_eq!(receiver.reassembler.slots.len(), model.messages.len());
        prop_assert!(receiver.reassembler.slots.len() <= 32);
    }
    Ok(())
}

fn start() -> impl Strategy<Value = u16> {
    prop_oneof![1..=100u16, 65_480..=65_535u16, 1..=65_535u16]
}

proptest! {
    #[test]
    fn honest_traffic_gives_what_the_model_gives(
        (start, steps) in start().prop_flat_map(|start| (Just(start), traffic(start))),
    ) {
        run(start, steps)?;
    }

    #[test]
    fn disturbed_traffic_gives_what_the_model_gives(
        (start, steps, more) in start().prop_flat_map(|start| {
            (Just(start), traffic(start), prop::collection::vec(disturbance(start), 0..200))
        }),
    ) {
        run(start, [steps, more].concat())?;
    }
}
