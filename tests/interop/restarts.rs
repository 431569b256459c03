//! Restarts of one side, which is killed in the middle of traffic in both directions.

use std::cell::Cell;
use std::time::{Duration, Instant};

use knet_tests::wait::{DEADLINE, read, readable_within, until};

use crate::network::{Family, both_families};
use crate::node::{Care, Datafd, Node};
use crate::ours::Ours;
use crate::pair::write;
use crate::program::{Program, Running};
use crate::theirs::Theirs;

both_families! { of_ours of_theirs }

fn of_ours(family: Family) {
    survive(family, &Theirs::new(1), Program::Knet);
}

fn of_theirs(family: Family) {
    survive(family, &Ours::new(1), Program::LibknetPeer);
}

const LIVES: usize = 4;

fn survive(family: Family, survivor: &dyn Node, program: Program) {
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    survivor.connect(2, 0, here, Some(there), &Care::default());
    let datafd = survivor.open(0);
    let peer = format!("1:{there}={here}");
    let arguments = ["cat", "--id", "2", "--peer", &peer, "--lines", "--recv", "1000000"];
    let pings = || survivor.link(2, 0).rx_pings;
    for life in 0..LIVES {
        let before = pings();
        let mut running = program.start(&arguments);
        until("it pings", || pings() > before);
        survivor.set_care(2, 0, &Care::default());
        hear(survivor, &datafd, &mut running, life);
        expect_hundred(&datafd, &mut running, life);
        send_hundred(&datafd, &running, life);
        // One of its pings has to carry the number of its last message, or its successor cannot be
        // distinguished from it (`docs/protocol.md`, "Restart detection").
        let before = pings();
        until("it pings", || pings() >= before + 2);
        // In the middle of traffic both ways.
        running.feed((100..5000).map(|number| format!("{life} {number}")));
        for number in 0..50 {
            write(&datafd, format!("unread {life} {number}").as_bytes());
        }
        let first = read(&datafd);
        assert_eq!(first, format!("{life} 100").as_bytes());
        // The successor starts after that was noticed, or before: nothing detects it in the
        // meantime, unless the last answer to this process came too late and was refused.
        let unnoticed = life % 2 == 1;
        let interval = if unnoticed { Duration::from_secs(50) } else { Care::default().interval };
        survivor.set_care(2, 0, &Care { interval, ..Care::default() });
        drop(running);
        if !unnoticed {
            survivor.wait(2, false);
        }
    }
}

/// Sends lines from the program until one arrives, and waits until the survivor has verified the
/// link since. The rest of the previous process's lines comes first; some of them are lost, but
/// they are in order.
fn hear(survivor: &dyn Node, datafd: &Datafd, running: &mut Running, life: usize) {
    let give_up = Instant::now() + DEADLINE;
    let (mut hellos, mut last) = (0, 0);
    loop {
        assert!(
            Instant::now() < give_up,
            "nothing arrives from process {life}: {:?}",
            survivor.link(2, 0)
        );
        if !readable_within(datafd, Duration::from_millis(200)) {
            running.feed(std::iter::once(format!("{life} hello {hellos}")));
            hellos += 1;
            continue;
        }
        let line = line(datafd);
        if line.starts_with(&format!("{life} hello ")) {
            break;
        }
        let (of, number) = line.split_once(' ').unwrap();
        assert_eq!(of.parse::<usize>().unwrap() + 1, life, "{line}");
        let number: usize = number.parse().unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    let pongs = || survivor.link(2, 0).rx_pongs;
    let before = pongs();
    until("it answers", || survivor.link(2, 0).up && pongs() >= before + 2);
}

/// Expects a hundred lines: all of them, in order, and each once.
fn expect_hundred(datafd: &Datafd, running: &mut Running, life: usize) {
    running.feed((0..100).map(|number| format!("{life} {number}")));
    let mut found = line(datafd);
    while found.starts_with(&format!("{life} hello ")) {
        found = line(datafd);
    }
    for number in 0..100 {
        assert_eq!(found, format!("{life} {number}"));
        if number < 99 {
            found = line(datafd);
        }
    }
}

fn line(datafd: &Datafd) -> String {
    String::from_utf8(read(datafd)).unwrap()
}

/// Sends lines until the program knows this host, and then a hundred that have to arrive.
fn send_hundred(datafd: &Datafd, running: &Running, life: usize) {
    let hellos = Cell::new(0);
    until("it hears us", || {
        hellos.set(hellos.get() + 1);
        write(datafd, format!("hello {life} {}", hellos.get()).as_bytes());
        running.has_line()
    });
    for number in 0..100 {
        write(datafd, format!("{life} {number}").as_bytes());
    }
    let mut last = 0;
    let mut line = running.line();
    while let Some(number) = line.strip_prefix(&format!("hello {life} ")) {
        let number: usize = number.parse().unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
        line = running.line();
    }
    for number in 0..100 {
        assert_eq!(line, format!("{life} {number}"));
        if number < 99 {
            line = running.line();
        }
    }
}
