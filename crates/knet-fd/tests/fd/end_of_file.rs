//! End of file and empty messages are distinguished.

use std::{
    net::Shutdown,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use knet_fd::{PairType, ReceiveBatch, Received, Sent, receive, send};
use nix::sys::socket::{self, shutdown};

use crate::samples::{pair, tcp, wait_readable};

fn message(len: usize) -> Received {
    Received::Message { len, truncated: false }
}

/// Sends messages, hangs up, and asserts that `expected` is received until the end, one by one and in
/// batches of various sizes.
fn assert_received(kind: PairType, messages: &[&[u8]], expected: &[&[u8]]) {
    let written = || -> OwnedFd {
        let (end, peer) = pair(kind);
        for message in messages {
            assert_eq!(send(&peer, message), Ok(Sent::Sent { len: message.len() }));
        }
        end
    };

    let end = written();
    let mut buffer = [0; 64];
    for message in expected {
        let Received::Message { len, truncated: false } = receive(&end, &mut buffer).unwrap()
        else {
            panic!("{message:?} of {messages:?}");
        };
        assert_eq!(&buffer[..len], *message);
    }
    for _ in 0..3 {
        assert_eq!(receive(&end, &mut buffer), Ok(Received::EndOfFile), "{messages:?}");
    }

    for capacity in [1, 2, 3, 4, 5, 64] {
        let end = written();
        let mut batch = ReceiveBatch::new(capacity, 0, 64);
        let mut found = Vec::new();
        loop {
            let outcome = batch.receive(&end).unwrap();
            assert!(!outcome.would_block(), "{messages:?} by {capacity}");
            found.extend(batch.iter().map(|message| message.bytes.to_vec()));
            assert!(found.len() <= messages.len(), "{messages:?} by {capacity}");
            if outcome.end_of_file {
                break;
            }
        }
        assert_eq!(found, expected, "{messages:?} by {capacity}");
        let outcome = batch.receive(&end).unwrap();
        assert_eq!((outcome.messages, outcome.end_of_file), (0, true), "the end is reported again");
    }
}

#[test]
fn a_seqpacket_ends_after_its_last_message() {
    assert_received(PairType::SeqPacket, &[], &[]);
    assert_received(PairType::SeqPacket, &[b"a"], &[b"a"]);
    assert_received(PairType::SeqPacket, &[b"a", b"b", b"c", b"d"], &[b"a", b"b", b"c", b"d"]);
}

#[test]
fn empty_messages_before_a_full_one_are_messages_even_after_a_hang_up() {
    for messages in [
        &[b"" as &[u8], b"a"] as &[&[u8]],
        &[b"", b"", b"", b"a"],
        &[b"a", b"", b"b"],
        &[b"", b"a", b"", b"", b"b"],
        &[b"", b"", b"", b"", b"", b"", b"", b"a"],
    ] {
        assert_received(PairType::SeqPacket, messages, messages);
    }
}

#[test]
fn empty_messages_right_before_a_hang_up_count_as_part_of_it() {
    assert_received(PairType::SeqPacket, &[b""], &[]);
    assert_received(PairType::SeqPacket, &[b"", b"a", b"", b""], &[b"", b"a"]);
}

#[test]
fn empty_messages_of_a_living_peer_are_messages() {
    for kind in [PairType::SeqPacket, PairType::Datagram] {
        for capacity in [1, 3, 64] {
            let (end, peer) = pair(kind);
            for _ in 0..3 {
                assert_eq!(send(&peer, b""), Ok(Sent::Sent { len: 0 }));
            }
            let mut batch = ReceiveBatch::new(capacity, 0, 16);
            let mut count = 0;
            while count < 3 {
                let outcome = batch.receive(&end).unwrap();
                assert!(!outcome.would_block() && !outcome.end_of_file, "{kind:?} by {capacity}");
                count += outcome.messages;
            }
            assert_eq!(count, 3);
            assert!(batch.receive(&end).unwrap().would_block());

            assert_eq!(send(&peer, b""), Ok(Sent::Sent { len: 0 }));
            assert_eq!(receive(&end, &mut [0; 8]), Ok(message(0)));
            assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::WouldBlock));
        }
    }
}

#[test]
fn a_peer_that_stops_sending_is_an_end_of_file() {
    let (end, peer) = pair(PairType::SeqPacket);
    let _ = send(&peer, b"last").unwrap();
    shutdown(peer.as_raw_fd(), socket::Shutdown::Write).unwrap();
    assert_eq!(receive(&end, &mut [0; 8]), Ok(message(4)));
    assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::EndOfFile));
    assert_eq!(send(&end, b"the other way"), Ok(Sent::Sent { len: 13 }));

    let mut batch = ReceiveBatch::new(64, 0, 64);
    assert!(batch.receive(&end).unwrap().end_of_file);
    assert_eq!(batch.receive(&peer).unwrap().messages, 1);
}

#[test]
fn a_datagram_socket_has_no_end_of_file() {
    let (end, peer) = pair(PairType::Datagram);
    let messages: [&[u8]; 3] = [b"", b"a", b""];
    for message in messages {
        let _ = send(&peer, message).unwrap();
    }
    drop(peer);
    let mut batch = ReceiveBatch::new(2, 0, 16);
    assert_eq!(batch.receive(&end).unwrap().messages, 2);
    assert_eq!(receive(&end, &mut [0; 8]), Ok(message(0)));
    assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::WouldBlock));
    assert!(batch.receive(&end).unwrap().would_block());
    assert!(batch.is_empty(), "the messages of the last call remain");
}

#[test]
fn a_stream_ends_after_its_last_byte() {
    let (end, peer) = pair(PairType::Stream);
    let mut batch = ReceiveBatch::new(64, 0, 4);
    let _ = send(&peer, b"hello").unwrap();
    drop(peer);
    let outcome = batch.receive(&end).unwrap();
    assert_eq!((outcome.messages, outcome.end_of_file), (2, true));
    assert_eq!((batch.message(0).bytes, batch.message(1).bytes), (&b"hell"[..], &b"o"[..]));
    assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::EndOfFile));

    let (end, peer) = UnixStream::pair().unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::EndOfFile));
}

#[test]
fn a_tcp_connection_has_an_end_of_file() {
    let (client, server) = tcp();
    assert_eq!(send(&client, b"hello"), Ok(Sent::Sent { len: 5 }));
    drop(client);
    let mut buffer = [0; 8];
    wait_readable(&server);
    assert_eq!(receive(&server, &mut buffer), Ok(message(5)));
    wait_readable(&server);
    assert_eq!(receive(&server, &mut buffer), Ok(Received::EndOfFile));
    assert!(ReceiveBatch::new(64, 0, 8).receive(&server).unwrap().end_of_file);
}

#[test]
fn a_reset_is_reported_once_and_loses_no_message() {
    for by_batch in [false, true] {
        let (end, peer) = pair(PairType::SeqPacket);
        let _ = send(&peer, b"read me").unwrap();
        let _ = send(&end, b"never read").unwrap();
        drop(peer);
        if by_batch {
            let mut batch = ReceiveBatch::new(64, 0, 16);
            assert_eq!(batch.receive(&end).unwrap_err().errno(), libc::ECONNRESET);
            assert!(batch.is_empty());
            let outcome = batch.receive(&end).unwrap();
            assert_eq!((outcome.messages, outcome.end_of_file), (1, true));
        } else {
            let mut buffer = [0; 16];
            assert_eq!(receive(&end, &mut buffer).unwrap_err().errno(), libc::ECONNRESET);
            assert_eq!(receive(&end, &mut buffer), Ok(message(7)));
            assert_eq!(receive(&end, &mut buffer), Ok(Received::EndOfFile));
        }
    }
}
