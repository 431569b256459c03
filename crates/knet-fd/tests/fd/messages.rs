//! Single messages, and devices.

use std::{
    fs::File, net::UdpSocket, os::unix::net::UnixStream, sync::mpsc, thread, time::Duration,
};

use knet_fd::{
    FileCalls, PairType, ReadError, ReceiveBatch, Received, SendBatch, Sent, read, receive, send,
    set_nonblocking, write,
};
use nix::{
    pty::openpty,
    sys::{signal, termios},
    unistd,
};

use crate::samples::{pair, wait_readable};

fn message(len: usize) -> Received {
    Received::Message { len, truncated: false }
}

#[test]
fn a_message_longer_than_the_buffer_is_truncated() {
    for kind in [PairType::SeqPacket, PairType::Datagram] {
        let (end, peer) = pair(kind);
        for text in [&b"exact"[..], b"longer", b"next"] {
            assert_eq!(send(&peer, text), Ok(Sent::Sent { len: text.len() }));
        }
        let mut buffer = [0; 5];
        assert_eq!(receive(&end, &mut buffer), Ok(message(5)));
        let cut = Received::Message { len: 5, truncated: true };
        assert_eq!(receive(&end, &mut buffer), Ok(cut));
        assert_eq!(&buffer, b"longe");
        assert_eq!(receive(&end, &mut buffer), Ok(message(4)));
        assert_eq!(&buffer[..4], b"next");
    }
}

#[test]
fn a_stream_keeps_bytes_that_do_not_fit() {
    let (end, peer) = pair(PairType::Stream);
    let _ = send(&peer, b"hello").unwrap();
    let mut buffer = [0; 3];
    assert_eq!(receive(&end, &mut buffer), Ok(message(3)));
    assert_eq!(receive(&end, &mut buffer), Ok(message(2)));
    assert_eq!(receive(&end, &mut buffer), Ok(Received::WouldBlock));
}

#[test]
fn an_empty_buffer_is_rejected_and_nothing_is_read() {
    let (end, peer) = pair(PairType::SeqPacket);
    let _ = send(&peer, b"hello").unwrap();
    assert_eq!(receive(&end, &mut []), Err(ReadError::EmptyBuffer));
    assert_eq!(read(&end, &mut []), Err(ReadError::EmptyBuffer));
    assert_eq!(ReadError::EmptyBuffer.errno(), libc::EINVAL);
    assert_eq!(receive(&end, &mut [0; 8]), Ok(message(5)));
}

#[test]
fn blocking_sockets_do_not_block() {
    let (done, wait) = mpsc::channel();
    // If one of these blocks, only its thread is stuck.
    thread::spawn(move || {
        let (end, peer) = UnixStream::pair().unwrap();
        assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::WouldBlock));
        assert!(ReceiveBatch::new(64, 0, 8).receive(&end).unwrap().would_block());
        let much = vec![0; 1 << 16];
        while send(&end, &much).unwrap() != Sent::WouldBlock {}
        assert_eq!(SendBatch::new(64).send(&end, [much.as_slice()]), Ok(0));
        done.send((end, peer)).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(10)).unwrap();
}

/// What is remembered of the calls of a file does not make one block.
#[test]
fn what_is_made_blocking_again_does_not_block() {
    let (done, wait) = mpsc::channel();
    // If one of these blocks, only its thread is stuck.
    thread::spawn(move || {
        let (pipe, terminal) = (unistd::pipe().unwrap(), openpty(None, None).unwrap());
        for file in [&pipe.0, &terminal.master] {
            let calls = FileCalls::new();
            for _ in 0..3 {
                set_nonblocking(file, false).unwrap();
                assert_eq!(calls.read(file, &mut [0; 8]), Ok(Received::WouldBlock));
            }
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(10)).unwrap();
}

/// The flag belongs to the open file, and somebody who shares that may clear it.
#[test]
fn blocking_pipes_and_terminals_do_not_block() {
    let (done, wait) = mpsc::channel();
    // If one of these blocks, only its thread is stuck.
    thread::spawn(move || {
        let (reader, writer) = unistd::pipe().unwrap();
        let terminal = openpty(None, None).unwrap();
        let mut raw = termios::tcgetattr(&terminal.slave).unwrap();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&terminal.slave, termios::SetArg::TCSANOW, &raw).unwrap();
        for (from, to) in [(&reader, &writer), (&terminal.master, &terminal.slave)] {
            let mut buffer = [0; 8];
            assert_eq!(read(from, &mut buffer), Ok(Received::WouldBlock));
            assert_eq!(write(to, b"hello"), Ok(Sent::Sent { len: 5 }));
            wait_readable(from);
            assert_eq!(read(from, &mut buffer), Ok(message(5)));
            set_nonblocking(to, false).unwrap();
            while write(to, &[0; 4096]).unwrap() != Sent::WouldBlock {}
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_full_socket_accepts_more_after_a_read() {
    for kind in [PairType::SeqPacket, PairType::Datagram, PairType::Stream] {
        let (end, peer) = pair(kind);
        let text = vec![7; 16_384];
        while send(&peer, &text).unwrap() != Sent::WouldBlock {}
        let mut buffer = vec![0; 1 << 16];
        while receive(&end, &mut buffer).unwrap() != Received::WouldBlock {}
        assert_eq!(send(&peer, &text), Ok(Sent::Sent { len: text.len() }), "{kind:?}");
    }
}

#[test]
fn messages_longer_than_the_send_buffer_are_rejected_whole() {
    let (end, peer) = pair(PairType::SeqPacket);
    let error = send(&peer, &vec![0; 64 << 20]).unwrap_err();
    assert_eq!(error.errno(), libc::EMSGSIZE);
    assert_eq!(receive(&end, &mut [0; 8]), Ok(Received::WouldBlock));
}

#[test]
fn sending_without_a_peer_is_an_error() {
    for (kind, errno) in [
        (PairType::Stream, libc::EPIPE),
        (PairType::SeqPacket, libc::EPIPE),
        (PairType::Datagram, libc::ECONNREFUSED),
    ] {
        let (end, peer) = pair(kind);
        drop(end);
        assert_eq!(send(&peer, b"hello").unwrap_err().errno(), errno, "{kind:?}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(send(&socket, b"hello").unwrap_err().errno(), libc::EDESTADDRREQ);
}

#[test]
fn udp_messages_arrive_whole() {
    let a = UdpSocket::bind("127.0.0.1:0").unwrap();
    let b = UdpSocket::bind("127.0.0.1:0").unwrap();
    a.connect(b.local_addr().unwrap()).unwrap();
    for text in [&b"hello"[..], b"", b"too long"] {
        assert_eq!(send(&a, text), Ok(Sent::Sent { len: text.len() }));
    }
    let mut buffer = [0; 6];
    for expected in [message(5), message(0), Received::Message { len: 6, truncated: true }] {
        wait_readable(&b);
        assert_eq!(receive(&b, &mut buffer), Ok(expected));
    }
}

#[test]
fn pipes_are_read_and_written() {
    let (reader, writer) = unistd::pipe().unwrap();
    set_nonblocking(&reader, true).unwrap();
    set_nonblocking(&writer, true).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(read(&reader, &mut buffer), Ok(Received::WouldBlock));
    assert_eq!(write(&writer, b"hello"), Ok(Sent::Sent { len: 5 }));
    assert_eq!(read(&reader, &mut buffer), Ok(message(4)));
    assert_eq!(&buffer, b"hell");
    assert_eq!(read(&reader, &mut buffer), Ok(message(1)));

    while write(&writer, &[0; 4096]).unwrap() != Sent::WouldBlock {}
    drop(writer);
    let mut much = vec![0; 1 << 20];
    assert!(matches!(read(&reader, &mut much), Ok(Received::Message { .. })));
    assert_eq!(read(&reader, &mut much), Ok(Received::EndOfFile));

    let (reader, writer) = unistd::pipe().unwrap();
    drop(reader);
    assert_eq!(write(&writer, b"hello").unwrap_err().errno(), libc::EPIPE);
}

#[test]
fn devices_are_read_and_written() {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    assert_eq!(write(&null, b"hello"), Ok(Sent::Sent { len: 5 }));
    assert_eq!(read(&null, &mut [0; 8]), Ok(Received::EndOfFile));

    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    assert_eq!(write(&full, b"hello").unwrap_err().errno(), libc::ENOSPC);
    let mut buffer = [1; 8];
    assert_eq!(read(&full, &mut buffer), Ok(message(8)));
    assert_eq!(buffer, [0; 8]);
}

#[test]
fn sockets_raise_no_signal() {
    // With SIGPIPE blocked in this thread, one would stay pending.
    let mut sigpipe = signal::SigSet::empty();
    sigpipe.add(signal::Signal::SIGPIPE);
    sigpipe.thread_block().unwrap();

    let (end, peer) = pair(PairType::Stream);
    drop(end);
    assert_eq!(send(&peer, b"hello").unwrap_err().errno(), libc::EPIPE);
    let message: [&[u8]; 1] = [b"hello"];
    let error = SendBatch::new(64).send(&peer, message).unwrap_err();
    assert_eq!(error.errno(), libc::EPIPE);
    assert!(!has_pending_sigpipe());

    // Proves that the test would notice: write(2) does raise one.
    assert_eq!(write(&peer, b"hello").unwrap_err().errno(), libc::EPIPE);
    assert!(has_pending_sigpipe());
    assert_eq!(sigpipe.wait(), Ok(signal::Signal::SIGPIPE));
}

fn has_pending_sigpipe() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigPnd:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & (1 << (libc::SIGPIPE - 1)) != 0
}
