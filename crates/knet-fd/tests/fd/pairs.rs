//! Socket pairs.

use knet_fd::{
    PairType, ReceiveBatch, Received, Sent, SocketPair, is_cloexec, is_nonblocking, receive, send,
};
use nix::sys::socket::{getsockopt, sockopt};

#[test]
fn both_ends_have_their_flags_and_buffers() {
    for kind in [PairType::Stream, PairType::Datagram, PairType::SeqPacket] {
        let pair = SocketPair::new(kind, 128 * 1024).unwrap();
        assert!(pair.buffers.is_full(), "{:?}", pair.buffers);
        for end in [&pair.left, &pair.right] {
            assert_eq!(is_nonblocking(end), Ok(true));
            assert_eq!(is_cloexec(end), Ok(true));
            assert_eq!(getsockopt(end, sockopt::RcvBuf), Ok(pair.buffers.receive));
            assert_eq!(getsockopt(end, sockopt::SndBuf), Ok(pair.buffers.send));
        }
    }
}

#[test]
fn messages_pass_in_both_directions() {
    for kind in [PairType::Stream, PairType::Datagram, PairType::SeqPacket] {
        let SocketPair { left, right, .. } = SocketPair::new(kind, 4096).unwrap();
        for (from, to) in [(&left, &right), (&right, &left)] {
            let mut buffer = [0; 8];
            assert_eq!(receive(to, &mut buffer), Ok(Received::WouldBlock));
            assert_eq!(send(from, b"hello"), Ok(Sent::Sent { len: 5 }));
            let message = Received::Message { len: 5, truncated: false };
            assert_eq!(receive(to, &mut buffer), Ok(message));
            assert_eq!(&buffer[..5], b"hello");
        }
    }
}

#[test]
fn the_largest_kronosnet_message_arrives_whole() {
    let pair = SocketPair::new(PairType::SeqPacket, 8_388_608).unwrap();
    let largest: Vec<u8> = (0..65536_u32).map(|i| (i % 251) as u8).collect();
    let too_long = vec![1; 65537];
    let mut batch = ReceiveBatch::new(64, 0, 65536);

    for message in [&largest, &too_long, &largest] {
        assert_eq!(send(&pair.left, message), Ok(Sent::Sent { len: message.len() }));
    }
    assert_eq!(batch.receive(&pair.right).unwrap().messages, 3);
    assert_eq!(batch.message(0).bytes, largest);
    assert!(!batch.message(0).truncated);
    assert_eq!(batch.message(1).bytes, &too_long[..65536]);
    assert!(batch.message(1).truncated);
    assert_eq!(batch.message(2), batch.message(0));
}
