//! Many hostile hosts that share a small pool.

use proptest::prelude::*;

use super::*;
use crate::host::defrag::pool::OWN_PART;

const PEERS: usize = 40;
const BUDGET: usize = 300 * 1024;

/// What the bytes of a message are, by what its frames have in common.
fn tag(peer: usize, frame: &Frame) -> u8 {
    let Frame { header, part, .. } = frame;
    let parts = [header.sequence.get() as usize, header.channel as usize, part.count() as usize];
    parts.iter().fold(peer + 1, |tag, part| tag * 31 + part) as u8
}

fn hostile_frame() -> impl Strategy<Value = (usize, Frame)> {
    let lens = prop_oneof![5 => 1..40usize, 2 => 250..300usize, 1 => 0..66_000usize];
    let counts = prop_oneof![4 => 2..=4u8, 1 => 2..=254u8];
    (0..PEERS, 1..60u16, counts, any::<prop::sample::Index>(), lens, 0..2u8).prop_map(
        |(peer, sequence, count, index, len, channel)| {
            let index = index.index(usize::from(count)) as u8 + 1;
            let mut frame = frame(sequence, index, count, &[]);
            frame.header.channel = channel;
            frame.payload = vec![tag(peer, &frame); len];
            (peer, frame)
        },
    )
}

proptest! {
    #[test]
    fn no_flood_exceeds_the_budget_or_mixes_messages(
        frames in prop::collection::vec(hostile_frame(), 1..1500),
        own_part in prop_oneof![Just(0), Just(5000), Just(OWN_PART)],
    ) {
        let mut pool = BufferPool::new(BUDGET, own_part);
        let mut peers: Vec<_> =
            (0..PEERS).map(|_| (Reassembler::default(), DuplicateWindow::default())).collect();
        let start = Instant::now();
        for (at, (peer, frame)) in frames.iter().enumerate() {
            let now = start + Duration::from_millis(100 * at as u64);
            let (reassembler, window) = &mut peers[*peer];
            if at % 7 == 0 {
                reassembler.handle_timeout(now, &mut pool);
            }
            let Frame { header, part, payload } = frame;
            let outcome = reassembler.add(now, header, *part, payload, window, &mut pool);
            if let Outcome::Complete(message) = outcome {
                let expected = tag(*peer, frame);
                prop_assert!(message.bytes().len() <= 65_536);
                prop_assert!(message.bytes().len() >= usize::from(part.count()));
                prop_assert!(message.bytes().iter().all(|byte| *byte == expected));
                if at % 2 == 0 {
                    pool.recycle(message);
                }
            }
            prop_assert!(pool.in_use() <= BUDGET + PEERS * own_part);
            prop_assert!(pool.shared() <= BUDGET);
            let held: usize = peers.iter().map(|(reassembler, _)| reassembler.memory()).sum();
            prop_assert_eq!(held, pool.in_use());
        }
        for (reassembler, _) in &mut peers {
            reassembler.clear(&mut pool);
        }
        prop_assert_eq!(pool.in_use(), 0);
    }

    /// However many fragments come from others or in their name, a host that sends one message after
    /// the other loses none.
    #[test]
    fn a_host_that_sends_little_is_never_starved(
        frames in prop::collection::vec(hostile_frame(), 1..1500),
        messages in prop::collection::vec((2..65_536usize, 1..=254usize, any::<bool>()), 1..20),
        budget in 0..BUDGET,
    ) {
        let mut pool = BufferPool::new(budget, OWN_PART);
        let mut peers: Vec<_> =
            (0..PEERS).map(|_| (Reassembler::default(), DuplicateWindow::default())).collect();
        let (mut reassembler, mut window) = (Reassembler::default(), DuplicateWindow::default());
        let now = Instant::now();
        let mut flood = frames.iter().cycle();
        for (sequence, &(len, count, last_first)) in (1..).zip(&messages) {
            let whole = message(len);
            let mut cut = cut(sequence, &whole, len.div_ceil(count).min(len - 1));
            if last_first {
                cut.reverse();
            }
            let mut completed = None;
            for Frame { header, part, payload } in &cut {
                for (peer, Frame { header, part, payload }) in flood.by_ref().take(8) {
                    let (reassembler, window) = &mut peers[*peer];
                    let _ = reassembler.add(now, header, *part, payload, window, &mut pool);
                }
                prop_assert!(completed.is_none());
                match reassembler.add(now, header, *part, payload, &mut window, &mut pool) {
                    Outcome::Incomplete => {}
                    Outcome::Complete(message) => completed = Some(message),
                    Outcome::Dropped(reason) => prop_assert!(false, "{reason:?}"),
                }
            }
            let completed = completed.expect("all fragments have come");
            prop_assert_eq!(completed.bytes(), whole);
            pool.recycle(completed);
        }
    }
}

/// Fragments with the ids of 32 hosts are enough to take all that is shared.
#[test]
fn a_flood_in_the_name_of_some_hosts_leaves_the_others_their_memory() {
    let mut pool = BufferPool::default();
    let now = Instant::now();
    let mut peers: Vec<_> =
        (0..100).map(|_| (Reassembler::default(), DuplicateWindow::default())).collect();
    let frames: Vec<Frame> = (1..=32).map(|sequence| frame(sequence, 1, 2, &[1; 40_000])).collect();
    for (reassembler, window) in &mut peers {
        for Frame { header, part, payload } in &frames {
            // Beyond the budget, its own messages make room.
            let outcome = reassembler.add(now, header, *part, payload, window, &mut pool);
            assert!(matches!(outcome, Outcome::Incomplete), "{outcome:?}");
            assert!(pool.shared() <= BufferPool::DEFAULT_BUDGET);
        }
    }
    assert_eq!(pool.shared(), BufferPool::DEFAULT_BUDGET);
    assert_eq!(pool.in_use(), BufferPool::DEFAULT_BUDGET + 100 * OWN_PART);
    let (mut other, mut window) = (Reassembler::default(), DuplicateWindow::default());
    for sequence in 1..10 {
        let whole = message(65_536);
        for Frame { header, part, payload } in cut(sequence, &whole, 1446).iter().rev() {
            match other.add(now, header, *part, payload, &mut window, &mut pool) {
                Outcome::Complete(message) => assert_eq!(message.bytes(), whole),
                Outcome::Incomplete => {}
                Outcome::Dropped(reason) => panic!("{reason:?}"),
            }
        }
    }
    assert_eq!(other.take_incomplete(), 0);
    for (reassembler, _) in &mut peers {
        reassembler.handle_timeout(now + REASSEMBLY_TIMEOUT, &mut pool);
    }
    assert_eq!((pool.in_use(), pool.shared()), (0, 0));
}
