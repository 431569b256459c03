//! Standard streams as a careless or unlucky parent leaves them: full, closed, or non-blocking.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use process::{free_address, start, start_into, start_with, start_without};

fn full_disk() -> OwnedFd {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Returns a pipe whose reader is gone.
fn closed_pipe() -> OwnedFd {
    nix::unistd::pipe().unwrap().1
}

/// Returns `--peer` for both ends of a link between host 1 and host 2.
fn link() -> [String; 2] {
    let (near, far) = (free_address(), free_address());
    [format!("2:{near}={far}"), format!("1:{far}={near}")]
}

/// Returns command lines that write to standard output and need no peer.
fn writers() -> Vec<Vec<String>> {
    let lines = [
        "--help",
        "--version",
        "help cat",
        "demo --help",
        "demo",
        "bench --count 10",
        "bench --count 10 --json",
        "bench --mode create --count 1",
    ];
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all: Vec<_> = lines.into_iter().map(words).collect();
    for command in ["check --wait 0.1 --id 1 --peer", "monitor --once --wait 0 --id 1 --peer"] {
        all.push([words(command), vec![link()[0].clone()]].concat());
    }
    all
}

fn as_strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_full_disk_is_a_failure_of_every_command() {
    for args in writers() {
        let finished = start_into(&as_strs(&args), full_disk()).finish();
        let line = finished.expect_failure(1);
        assert_eq!(
            line, "cannot write the output: No space left on device (os error 28)",
            "{args:?}"
        );
    }
}

#[test]
fn a_closed_output_is_a_failure_of_every_command() {
    for args in writers() {
        let finished = start_without(">&-", &as_strs(&args)).finish();
        let line = finished.expect_failure(1);
        assert_eq!(line, "cannot write the output: Bad file descriptor (os error 9)", "{args:?}");
    }
}

#[test]
fn a_closed_input_or_output_is_a_failure_of_cat() {
    let peers = link();
    let one = ["cat", "--id", "1", "--lines", "--peer", &peers[0]];
    let two = ["cat", "--id", "2", "--lines", "--peer", &peers[1]];
    let mut sender = start(&one);
    let receiver = start_without(">&-", &two);
    sender.feed(b"hello\n");
    let finished = receiver.finish_with_open_input();
    assert!(finished.expect_failure(1).contains("Bad file descriptor"), "{}", finished.stderr);
    drop(sender);
    let (sender, _receiver) = (start_without("<&-", &one), start(&two));
    let finished = sender.finish();
    assert!(finished.expect_failure(1).contains("Bad file descriptor"), "{}", finished.stderr);
}

/// What a service manager or another program passes in place of a stream that nobody reads.
#[test]
fn a_null_device_as_output_is_no_failure() {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    start_into(&["--version"], null.into()).finish().expect_success();
}

#[test]
fn a_closed_pipe_ends_every_command_as_it_ends_other_tools() {
    for args in writers() {
        let finished = start_into(&as_strs(&args), closed_pipe()).finish();
        assert_eq!(finished.expect_end_by(Signal::SIGPIPE), "", "{args:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure_of_a_receiver() {
    let peers = link();
    let mut one = start(&["cat", "--id", "1", "--lines", "--peer", &peers[0]]);
    let two = ["cat", "--id", "2", "--lines", "--peer", &peers[1]];
    let two = start_into(&two, full_disk());
    one.feed(b"hello\n");
    let finished = two.finish_with_open_input();
    assert!(finished.expect_failure(1).contains("No space left"), "{}", finished.stderr);
}

/// The parent made both streams non-blocking, and takes its time on both.
#[test]
fn non_blocking_streams_are_waited_for() {
    let peers = link();
    let (mut input, stdin) = UnixStream::pair().unwrap();
    let (mut output, stdout) = UnixStream::pair().unwrap();
    for stream in [&stdin, &stdout] {
        stream.set_nonblocking(true).unwrap();
    }
    let flags = stdout.try_clone().unwrap();
    let one = ["cat", "--id", "1", "--lines", "--peer", &peers[0]];
    let mut one = start_with(&one, OwnedFd::from(stdin).into(), Stdio::null());
    let two = ["cat", "--id", "2", "--lines", "--recv", "20000", "--peer", &peers[1]];
    let two = start_with(&two, Stdio::null(), OwnedFd::from(stdout).into());
    let sent: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    // Nothing is there to read at first.
    assert!(!one.ends_within(Duration::from_millis(300)));
    input.write_all(sent.as_bytes()).unwrap();
    drop(input);
    one.finish().expect_success();
    // By now everything waits for its reader, in the socket and in the command.
    let mut received = String::new();
    let set = OFlag::from_bits_retain(fcntl(&flags, FcntlArg::F_GETFL).unwrap());
    assert!(set.contains(OFlag::O_NONBLOCK), "the flag is not ours to clear");
    drop(flags);
    output.read_to_string(&mut received).unwrap();
    two.finish().expect_success();
    assert!(received == sent, "{} bytes instead of {}", received.len(), sent.len());
}

/// Returns a non-blocking stream without room, its reader, and how many bytes are in it.
fn full_stream() -> (UnixStream, UnixStream, usize) {
    let (reader, stream) = UnixStream::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(length) = (&stream).write(&[b'x'; 4096]) {
        filled += length;
    }
    (stream, reader, filled)
}

#[test]
fn a_report_waits_for_room_in_a_non_blocking_output() {
    let (stdout, mut reader, filled) = full_stream();
    let mut help = start_into(&["bench", "--help"], stdout.into());
    assert!(!help.ends_within(Duration::from_millis(300)));
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).unwrap();
    help.finish().expect_success();
    let text = std::str::from_utf8(&seen[filled..]).unwrap();
    assert!(text.contains("--window") && text.ends_with('\n'), "{text}");
}

#[test]
fn a_message_waits_for_room_in_a_non_blocking_standard_error() {
    let (stderr, mut reader, filled) = full_stream();
    let mut child = Command::new(env!("CARGO_BIN_EXE_knet"))
        .args(["demo", "/no/such/file"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(OwnedFd::from(stderr))
        .spawn()
        .unwrap();
    // The end of its output is the end of the command.
    let stdout = child.stdout.take().unwrap();
    let mut ended = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ended, PollTimeout::from(300_u16)).unwrap(), 0, "the message is lost");
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(String::from_utf8_lossy(&seen[filled..]).starts_with("knet: cannot read"));
}
