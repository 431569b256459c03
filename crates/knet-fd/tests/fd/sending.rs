//! Batched sends.

use knet_fd::{PairType, ReceiveBatch, SendBatch, SendStop, SocketPair};

use crate::samples::pair;

/// Receives all available messages.
fn receive_all(end: &std::os::fd::OwnedFd) -> Vec<Vec<u8>> {
    let mut batch = ReceiveBatch::new(64, 0, 65536);
    let mut all = Vec::new();
    while !batch.receive(end).unwrap().would_block() {
        all.extend(batch.iter().map(|message| message.bytes.to_vec()));
    }
    all
}

#[test]
fn any_number_of_messages_is_sent_in_order() {
    for at_once in [0, 1, 2, 63, 64, 65, usize::MAX] {
        for number in [0, 1, 63, 64, 65, 128, 200] {
            let (end, peer) = pair(PairType::SeqPacket);
            let messages: Vec<Vec<u8>> = (0..number).map(|i| vec![i as u8; i % 7]).collect();
            let sent = SendBatch::new(at_once).send(&peer, messages.iter().map(Vec::as_slice));
            assert_eq!(sent, Ok(number));
            assert_eq!(receive_all(&end), messages, "{number} by {at_once}");
        }
    }
}

#[test]
fn a_full_socket_accepts_the_first_messages() {
    for kind in [PairType::SeqPacket, PairType::Datagram] {
        let SocketPair { left, right, .. } = SocketPair::new(kind, 65536).unwrap();
        let messages: Vec<Vec<u8>> = (0..200).map(|i| vec![i as u8; 4096]).collect();
        let batch = SendBatch::new(64);
        let sent = batch.send(&left, messages.iter().map(Vec::as_slice)).unwrap();
        assert!((1..200).contains(&sent), "{sent}");
        assert_eq!(receive_all(&right), &messages[..sent]);
        let again = batch.send(&left, messages[sent..].iter().map(Vec::as_slice)).unwrap();
        assert!(again > 0);
        assert_eq!(receive_all(&right), &messages[sent..sent + again]);
    }
}

#[test]
fn a_rejected_message_is_named_and_the_rest_can_be_sent() {
    let (end, peer) = pair(PairType::SeqPacket);
    let monster = vec![0; 64 << 20];
    let mut messages: Vec<&[u8]> = vec![b"small"; 100];
    for refused in [0, 1, 63, 64, 99] {
        messages[refused] = &monster;
        let batch = SendBatch::new(64);
        let error = batch.send(&peer, messages.iter().copied()).unwrap_err();
        assert_eq!((error.sent, error.errno()), (refused, libc::EMSGSIZE));
        assert!(error.to_string().contains(&format!("message {refused} ")), "{error}");
        let rest = &messages[refused + 1..];
        assert_eq!(batch.send(&peer, rest.iter().copied()), Ok(rest.len()));
        assert_eq!(receive_all(&end).len(), 99);
        messages[refused] = b"small";
    }
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    for (kind, errno) in
        [(PairType::SeqPacket, libc::EPIPE), (PairType::Datagram, libc::ECONNREFUSED)]
    {
        let (end, peer) = pair(kind);
        drop(end);
        let messages: [&[u8]; 2] = [b"a", b"b"];
        let error = SendBatch::new(64).send(&peer, messages).unwrap_err();
        assert_eq!((error.sent, error.errno()), (0, errno), "{kind:?}");
        assert!(matches!(error.reason, SendStop::Os { .. }));
    }
}

#[test]
fn a_stream_that_accepts_half_a_message_is_reported() {
    let (end, peer) = pair(PairType::Stream);
    let long = vec![3; 64 << 20];
    let messages: [&[u8]; 3] = [b"whole", &long, b"never"];
    let error = SendBatch::new(64).send(&peer, messages).unwrap_err();
    let SendStop::Partial { bytes } = error.reason else { panic!("{error:?}") };
    assert_eq!(error.sent, 1);
    assert_eq!(error.errno(), libc::EMSGSIZE);
    assert!(bytes > 0 && bytes < long.len());
    assert_eq!(receive_all(&end).concat().len(), 5 + bytes, "something was sent after it");
}
