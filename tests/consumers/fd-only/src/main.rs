//! A program that only needs safe descriptor I/O: it reads whole messages from a socket whose peer may close
//! it at any time.

#![forbid(unsafe_code)]

use std::error::Error;

use knet_fd::{FdKind, PairType, Received, Sent, SocketPair};

fn main() -> Result<(), Box<dyn Error>> {
    let pair = SocketPair::new(PairType::SeqPacket, 64 * 1024)?;
    assert!(matches!(FdKind::of(&pair.right)?, FdKind::Socket { .. }));
    assert!(knet_fd::is_cloexec(&pair.right)?, "child processes must not inherit it");

    let mut buffer = [0; 16];
    let nothing = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(nothing, Received::WouldBlock, "reading does not block");

    assert_eq!(knet_fd::send(&pair.left, b"hello")?, Sent::Sent { len: 5 });
    assert_eq!(knet_fd::send(&pair.left, b"longer than the buffer is")?, Sent::Sent { len: 25 });
    drop(pair.left);

    let hello = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(hello, Received::Message { len: 5, truncated: false });
    assert_eq!(&buffer[..5], b"hello");
    let cut = knet_fd::receive(&pair.right, &mut buffer)?;
    assert_eq!(cut, Received::Message { len: 16, truncated: true });
    assert_eq!(knet_fd::receive(&pair.right, &mut buffer)?, Received::EndOfFile);

    println!("fd-only: a whole message, a truncated one, and the end of the file");
    Ok(())
}
