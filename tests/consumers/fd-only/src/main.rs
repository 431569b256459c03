//! A program that only needs safe descriptor plumbing: it reads whole messages from a socket that another
//! part of the program may close at any time.

#![forbid(unsafe_code)]

use std::error::Error;

use knet_fd::{FdKind, PairType, Received, Sent, SocketPair};

fn main() -> Result<(), Box<dyn Error>> {
    let pair = SocketPair::new(PairType::SeqPacket, 64 * 1024)?;
    assert!(matches!(FdKind::of(&pair.right)?, FdKind::Socket { .. }));
    assert!(knet_fd::is_cloexec(&pair.right)?, "a child process must not inherit it");

    let mut buffer = [0; 16];
    let nothing = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(nothing, Received::WouldBlock, "nobody is kept waiting");

    assert_eq!(knet_fd::send(&pair.left, b"hello")?, Sent::Sent { len: 5 });
    assert_eq!(knet_fd::send(&pair.left, b"a message too long for it")?, Sent::Sent { len: 25 });
    drop(pair.left);

    let hello = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(hello, Received::Message { len: 5, truncated: false });
    assert_eq!(&buffer[..5], b"hello");
    let cut = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(cut, Received::Message { len: 16, truncated: true });
    assert_eq!(knet_fd::receive(&pair.right, &mut buffer)?, Received::EndOfFile);

    println!("fd-only: one message came whole, one was seen to be cut, and then the end");
    Ok(())
}
