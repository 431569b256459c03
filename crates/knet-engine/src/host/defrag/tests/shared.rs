//! Many hostile hosts that share a small pool.

use proptest::prelude::*;

use super::*;

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
    ) {
        let mut pool = BufferPool::new(BUDGET);
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
            prop_assert!(pool.in_use() <= BUDGET);
            let held: usize = peers.iter().map(|(reassembler, _)| reassembler.memory()).sum();
            prop_assert_eq!(held, pool.in_use());
        }
        for (reassembler, _) in &mut peers {
            reassembler.clear(&mut pool);
        }
        prop_assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn a_thousand_peers_stay_within_the_budget_and_a_later_one_gets_its_turn() {
    let mut pool = BufferPool::default();
    let now = Instant::now();
    let mut peers: Vec<_> =
        (0..1000).map(|_| (Reassembler::default(), DuplicateWindow::default())).collect();
    let frames: Vec<Frame> = (1..=32).map(|sequence| frame(sequence, 1, 2, &[1; 40_000])).collect();
    let mut refused = 0;
    for (reassembler, window) in &mut peers {
        for Frame { header, part, payload } in &frames {
            let outcome = reassembler.add(now, header, *part, payload, window, &mut pool);
            refused += usize::from(matches!(outcome, Outcome::Dropped(OverBudget)));
            assert!(pool.in_use() <= BufferPool::DEFAULT_BUDGET);
        }
    }
    assert_eq!(pool.in_use(), BufferPool::DEFAULT_BUDGET);
    assert!(refused > 0);
    for (reassembler, _) in &mut peers {
        reassembler.handle_timeout(now + REASSEMBLY_TIMEOUT, &mut pool);
    }
    assert_eq!(pool.in_use(), 0);
    let (reassembler, window) = peers.last_mut().unwrap();
    let Frame { header, part, payload } = &frames[0];
    let outcome = reassembler.add(now, header, *part, &payload[..9], window, &mut pool);
    assert!(matches!(outcome, Outcome::Incomplete), "{outcome:?}");
}
