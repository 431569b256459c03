//! `knet demo`, as a newcomer runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::io::Write;

use nix::sys::signal::Signal;
use process::{Finished, run, start};

/// Checks everything that a successful demo shows.
fn expect_success(finished: &Finished) {
    finished.expect_success();
    let text = finished.text();
    let hash = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start:?} in {text}")).split_whitespace().last()
    };
    assert_eq!(hash("sent").map(str::len), Some(64), "{text}");
    assert_eq!(hash("sent"), hash("received"), "{text}");
    let events = [
        "host 1: link 0 to host 2 is up",
        "link 0 fails at",
        "host 1: link 0 to host 2 is down",
        "link 0 is restored at",
        "host 1: link 0 to host 2 is up",
        "100 %",
        "MB/s",
    ];
    for event in events {
        assert!(text.contains(event), "no {event:?} in {text}");
    }
    let table = text.lines().skip_while(|line| !line.starts_with("host  link"));
    let rows: Vec<Vec<&str>> =
        table.skip(1).take(4).map(|row| row.split_whitespace().collect()).collect();
    // On a busy machine a link may go down once more.
    for (link, least_ups, least_downs) in [("0", 2, 1), ("1", 1, 0)] {
        for host in ["1", "2"] {
            let row = rows.iter().find(|row| row[..2] == [host, link]).unwrap();
            let [ups, downs] = [2, 1].map(|back| row[row.len() - back].parse::<u32>().unwrap());
            assert!(ups >= least_ups && downs >= least_downs, "{text}");
        }
    }
}

#[test]
fn by_default_it_streams_the_command_itself() {
    let finished = run(&["demo"], b"");
    expect_success(&finished);
    assert!(finished.text().contains(env!("CARGO_BIN_EXE_knet")));
}

#[test]
fn a_file_of_any_length_arrives() {
    for length in [0, 1, 16 * 1024, 1_000_003] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect();
        file.write_all(&bytes).unwrap();
        expect_success(&run(&["demo", file.path().to_str().unwrap()], b""));
    }
}

#[test]
fn the_hash_is_the_files() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"abc").unwrap();
    let finished = run(&["demo", file.path().to_str().unwrap()], b"");
    // FIPS 180-4, the example of one block.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(finished.text().matches(abc).count(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure() {
    let finished = run(&["demo", "/no/such/file"], b"");
    assert!(finished.expect_failure(1).contains("/no/such/file"));
}

#[test]
fn what_may_have_no_end_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["/", "/dev/zero", fifo.to_str().unwrap()] {
        let finished = run(&["demo", path], b"");
        let line = finished.expect_failure(2);
        assert!(line.contains(path) && line.contains("not a regular file"), "{line}");
    }
}

#[test]
fn it_ends_when_its_output_is_closed() {
    let mut demo = start(&["demo"]);
    demo.wait_for_output("link 1");
    demo.close_stdout();
    assert_eq!(demo.finish().expect_end_by(Signal::SIGPIPE), "");
}
