//! Batched receives.

use std::{thread, time::Instant};

use knet_fd::{BatchMessage, PairType, ReceiveBatch, Sent, send};

use crate::samples::pair;

fn send_all(to: &std::os::fd::OwnedFd, messages: &[&[u8]]) {
    for message in messages {
        assert_eq!(send(to, message), Ok(Sent::Sent { len: message.len() }));
    }
}

fn bytes(batch: &ReceiveBatch) -> Vec<Vec<u8>> {
    batch.iter().map(|message| message.bytes.to_vec()).collect()
}

#[test]
fn a_batch_receives_available_messages_up_to_its_capacity() {
    let (end, peer) = pair(PairType::SeqPacket);
    let mut batch = ReceiveBatch::new(3, 0, 16);
    assert_eq!(batch.capacity(), 3);
    assert!(batch.receive(&end).unwrap().would_block());

    send_all(&peer, &[b"1", b"22", b"333", b"4444", b"5"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 3);
    assert_eq!(bytes(&batch), [&b"1"[..], b"22", b"333"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 2);
    assert_eq!(bytes(&batch), [&b"4444"[..], b"5"]);
    assert_eq!(batch.len(), 2);
    assert!(batch.receive(&end).unwrap().would_block());
    assert!(batch.is_empty());
}

#[test]
fn lengths_and_flags_of_the_last_call_are_replaced() {
    let (end, peer) = pair(PairType::Datagram);
    let mut batch = ReceiveBatch::new(2, 0, 4);
    send_all(&peer, &[b"too long", b"1234"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 2);
    assert!(batch.message(0).truncated && !batch.message(1).truncated);

    send_all(&peer, &[b"a", b"way too long"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 2);
    assert_eq!(batch.message(0).bytes, b"a");
    assert!(!batch.message(0).truncated);
    assert_eq!(batch.message(1).bytes, b"way ");
    assert!(batch.message(1).truncated);
}

#[test]
fn indexes_beyond_the_last_message_are_empty() {
    let (end, peer) = pair(PairType::SeqPacket);
    let mut batch = ReceiveBatch::new(4, 2, 8);
    send_all(&peer, &[b"1", b"2"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 2);
    send_all(&peer, &[b"3"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 1);
    for index in [1, 2, 4, 64, usize::MAX] {
        let BatchMessage { bytes, truncated, .. } = batch.message(index);
        assert_eq!((bytes, truncated), (&b""[..], false));
        assert!(batch.with_headroom_mut(index).is_none());
    }
}

#[test]
fn headroom_directly_precedes_its_message() {
    let (end, peer) = pair(PairType::SeqPacket);
    let mut batch = ReceiveBatch::new(3, 5, 8);
    send_all(&peer, &[b"first", b"", b"longer than 8"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 3);
    for (index, expected) in [&b"first"[..], b"", b"longer t"].into_iter().enumerate() {
        let (headroom, message) = batch.with_headroom_mut(index).unwrap();
        assert_eq!(message, expected);
        assert_eq!(headroom.len(), 5);
        assert_eq!(headroom.as_ptr_range().end, message.as_ptr());
        headroom.fill(b'#');
        message.reverse();
    }
    assert_eq!(bytes(&batch), [&b"tsrif"[..], b"", b"t regnol"], "headrooms overlap no message");
}

#[test]
fn arguments_outside_their_range_are_limited() {
    let (end, peer) = pair(PairType::SeqPacket);
    let mut smallest = ReceiveBatch::new(0, 0, 0);
    assert_eq!(smallest.capacity(), 1);
    send_all(&peer, &[b"ab"]);
    assert_eq!(smallest.receive(&end).unwrap().messages, 1);
    assert_eq!(smallest.message(0).bytes, b"a");
    assert!(smallest.message(0).truncated);

    let mut largest = ReceiveBatch::new(usize::MAX, usize::MAX, usize::MAX);
    assert_eq!(largest.capacity(), ReceiveBatch::MAX_MESSAGES);
    send_all(&peer, &[b"ab"]);
    assert_eq!(largest.receive(&end).unwrap().messages, 1);
    let (headroom, message) = largest.with_headroom_mut(0).unwrap();
    assert_eq!((headroom.len(), message.len()), (ReceiveBatch::MAX_SIZE, 2));
}

#[test]
fn a_batch_can_be_sent_to_another_thread() {
    let (end, peer) = pair(PairType::SeqPacket);
    let mut batch = ReceiveBatch::new(64, 0, 16);
    send_all(&peer, &[b"hello"]);
    assert_eq!(batch.receive(&end).unwrap().messages, 1);
    let batch = thread::spawn(move || {
        assert!(batch.receive(&end).unwrap().would_block());
        send_all(&peer, &[b"again"]);
        assert_eq!(batch.receive(&end).unwrap().messages, 1);
        batch
    })
    .join()
    .unwrap();
    assert_eq!(bytes(&batch), [b"again"]);
}

#[test]
fn debug_shows_the_capacity_of_a_batch_and_not_its_memory() {
    let text = format!("{:?}", ReceiveBatch::new(64, 14, 65536));
    assert!(text.contains("headroom: 14") && text.contains("capacity: 64"), "{text}");
    assert!(text.len() < 200, "none of its 4 MiB: {text}");
}

#[test]
fn a_writer_in_another_thread_loses_nothing() {
    const MESSAGES: u32 = 20_000;
    let (end, peer) = pair(PairType::SeqPacket);
    let writer = thread::spawn(move || {
        for number in 0..MESSAGES {
            let message = number.to_le_bytes();
            while send(&peer, &message[..number as usize % 5]).unwrap() == Sent::WouldBlock {
                thread::yield_now();
            }
        }
        // The last message is not empty, so that it is distinguishable from the end.
        while send(&peer, b"end").unwrap() == Sent::WouldBlock {
            thread::yield_now();
        }
    });
    let mut batch = ReceiveBatch::new(64, 0, 16);
    let (mut next, start) = (0_u32, Instant::now());
    loop {
        assert!(start.elapsed().as_secs() < 60, "stuck at {next}");
        let outcome = batch.receive(&end).unwrap();
        for message in batch.iter() {
            if next < MESSAGES {
                assert_eq!(message.bytes, &next.to_le_bytes()[..next as usize % 5]);
            } else {
                assert_eq!(message.bytes, b"end");
            }
            next += 1;
        }
        if outcome.end_of_file {
            break;
        }
    }
    assert_eq!(next, MESSAGES + 1);
    writer.join().unwrap();
}
