//! One side is killed in the middle of traffic in both directions, and started again.

use std::cell::Cell;
use std::time::Duration;

use knet_tests::waiting::{read, until};

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
    for life in 0..LIVES {
        let mut running = program.start(&arguments);
        running.feed((0..100).map(|number| format!("{life} {number}")));
        expect_hundred(&datafd, life);
        send_hundred(&datafd, &running, life);
        // Its pings have to have told of its last message once, or the next life cannot be told from
        // this one (`spec/engine.md` 10).
        let pings = || survivor.link(2, 0).rx_pings;
        let before = pings();
        until("it pings", || pings() >= before + 2);
        // In the middle of traffic both ways.
        running.feed((100..5000).map(|number| format!("{life} {number}")));
        for number in 0..50 {
            write(&datafd, format!("unread {life} {number}").as_bytes());
        }
        let first = read(&datafd);
        assert_eq!(first, format!("{life} 100").as_bytes());
        // The next life begins after that was noticed, or before: nobody looks in the meantime.
        let unnoticed = life % 2 == 1;
        let interval = if unnoticed { Duration::from_secs(50) } else { Care::default().interval };
        survivor.set_care(2, 0, &Care { interval, ..Care::default() });
        drop(running);
        if !unnoticed {
            survivor.wait(2, false);
        }
    }
}

/// The first hundred lines of a life: all of them, in order, and each once. What is left of the life
/// before comes first; some of it is lost, but it is in order.
fn expect_hundred(datafd: &Datafd, life: usize) {
    let mut last = 0;
    let next = || {
        let line = String::from_utf8(read(datafd)).unwrap();
        let (of, number) = line.split_once(' ').unwrap();
        (of.parse::<usize>().unwrap(), number.parse::<usize>().unwrap())
    };
    let first = loop {
        let (of, number) = next();
        if of == life {
            break number;
        }
        assert_eq!(of + 1, life);
        assert!(number > last, "{number} after {last}");
        last = number;
    };
    assert_eq!(first, 0);
    for expected in 1..100 {
        assert_eq!(next(), (life, expected));
    }
}

/// Sends lines until the program has got to know us, and then a hundred, which have to arrive.
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
