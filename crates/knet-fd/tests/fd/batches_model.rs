//! Random messages in random batches: all arrive, in order.

use knet_fd::{PairType, ReceiveBatch, Received, SendBatch, SocketPair, receive};
use proptest::{collection::vec, prelude::*};

/// Generates messages with lengths around the size of a buffer.
fn messages(size: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![
        2 => Just(0),
        2 => size.saturating_sub(1)..=size + 1,
        3 => 0..=2 * size,
    ];
    let message = (length, any::<u8>())
        .prop_map(|(length, first)| (0..length).map(|i| first.wrapping_add(i as u8)).collect());
    vec(message, 0..150)
}

#[derive(Debug)]
struct Case {
    at_once: usize,
    capacity: usize,
    headroom: usize,
    size: usize,
    messages: Vec<Vec<u8>>,
}

fn case() -> impl Strategy<Value = Case> {
    (1..=400_usize).prop_flat_map(|size| {
        (1..=64_usize, 1..=64_usize, 0..=32_usize, messages(size)).prop_map(
            move |(at_once, capacity, headroom, messages)| Case {
                at_once,
                capacity,
                headroom,
                size,
                messages,
            },
        )
    })
}

/// Returns what must be received for a message, and whether it is truncated.
fn expected(message: &[u8], size: usize) -> (Vec<u8>, bool) {
    (message[..message.len().min(size)].to_vec(), message.len() > size)
}

/// Sends all messages and receives whenever the socket is full. Returns the messages received so far.
fn send_all(
    pair: &SocketPair,
    case: &Case,
    batch: &mut ReceiveBatch,
) -> Result<Vec<(Vec<u8>, bool)>, TestCaseError> {
    let sender = SendBatch::new(case.at_once);
    let (mut sent, mut out) = (0, Vec::new());
    while sent < case.messages.len() {
        let rest = case.messages[sent..].iter().map(Vec::as_slice);
        sent += sender.send(&pair.left, rest).map_err(|error| fail(&error))?;
        if sent < case.messages.len() {
            let outcome = batch.receive(&pair.right).map_err(|error| fail(&error))?;
            prop_assert!(outcome.messages > 0 && !outcome.end_of_file);
            collect(batch, case, &mut out)?;
        }
    }
    Ok(out)
}

fn collect(
    batch: &mut ReceiveBatch,
    case: &Case,
    out: &mut Vec<(Vec<u8>, bool)>,
) -> Result<(), TestCaseError> {
    for index in 0..batch.len() {
        let message = batch.message(index);
        let bytes = message.bytes.to_vec();
        out.push((bytes.clone(), message.truncated));
        let (headroom, same) = batch.with_headroom_mut(index).ok_or_else(|| fail(&index))?;
        prop_assert_eq!(headroom.len(), case.headroom);
        prop_assert_eq!(&*same, bytes);
        // Bytes written to the headroom must not appear in a message.
        headroom.fill(0xEE);
    }
    Ok(())
}

fn fail(what: &dyn std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("{what:?}"))
}

proptest! {
    #[test]
    fn datagrams_arrive_as_they_were_sent(case in case()) {
        let pair = SocketPair::new(PairType::Datagram, 16_384).map_err(|error| fail(&error))?;
        let mut batch = ReceiveBatch::new(case.capacity, case.headroom, case.size);
        let mut out = send_all(&pair, &case, &mut batch)?;
        let SocketPair { left, right, .. } = pair;
        drop(left);
        loop {
            prop_assert!(out.len() <= case.messages.len(), "more received than sent");
            let outcome = batch.receive(&right).map_err(|error| fail(&error))?;
            prop_assert!(!outcome.end_of_file);
            if outcome.would_block() {
                break;
            }
            collect(&mut batch, &case, &mut out)?;
        }
        let expected: Vec<_> = case.messages.iter().map(|m| expected(m, case.size)).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn packets_arrive_as_they_were_sent_until_the_end(
        case in case(),
        one_by_one in any::<bool>(),
    ) {
        let pair = SocketPair::new(PairType::SeqPacket, 16_384).map_err(|error| fail(&error))?;
        let mut batch = ReceiveBatch::new(case.capacity, case.headroom, case.size);
        let mut out = send_all(&pair, &case, &mut batch)?;
        let already = out.len();
        let SocketPair { left, right, .. } = pair;
        drop(left);
        let mut buffer = vec![0; case.size];
        loop {
            prop_assert!(out.len() <= case.messages.len(), "more received than sent");
            if one_by_one {
                match receive(&right, &mut buffer).map_err(|error| fail(&error))? {
                    Received::Message { len, truncated } => {
                        out.push((buffer[..len].to_vec(), truncated));
                    }
                    Received::EndOfFile => break,
                    Received::WouldBlock => prop_assert!(false, "the peer is gone"),
                }
            } else {
                let outcome = batch.receive(&right).map_err(|error| fail(&error))?;
                prop_assert!(!outcome.would_block(), "the peer is gone");
                collect(&mut batch, &case, &mut out)?;
                if outcome.end_of_file {
                    break;
                }
            }
        }
        // Empty messages that were still queued at the end are part of the hang-up.
        let with_bytes = case.messages.iter().rposition(|m| !m.is_empty()).map_or(0, |i| i + 1);
        let last = with_bytes.max(already);
        let expected: Vec<_> = case.messages[..last].iter().map(|m| expected(m, case.size)).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn a_stream_arrives_as_it_was_sent(
        chunks in vec(vec(any::<u8>(), 1..2000), 0..40),
        capacity in 1..=64_usize,
        size in 1..=500_usize,
    ) {
        let pair = SocketPair::new(PairType::Stream, 1 << 20).map_err(|error| fail(&error))?;
        let sent = SendBatch::new(64).send(&pair.left, chunks.iter().map(Vec::as_slice));
        prop_assert_eq!(sent, Ok(chunks.len()));
        let SocketPair { left, right, .. } = pair;
        drop(left);
        let mut batch = ReceiveBatch::new(capacity, 0, size);
        let mut out = Vec::new();
        loop {
            prop_assert!(out.len() <= chunks.concat().len(), "more received than sent");
            let outcome = batch.receive(&right).map_err(|error| fail(&error))?;
            prop_assert!(!outcome.would_block());
            for message in batch.iter() {
                prop_assert!(!message.truncated && !message.bytes.is_empty());
                out.extend_from_slice(message.bytes);
            }
            if outcome.end_of_file {
                break;
            }
        }
        prop_assert_eq!(out, chunks.concat());
    }
}
