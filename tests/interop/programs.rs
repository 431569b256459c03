//! `knet` and `libknet-peer` are each other's other end.

use std::thread;

use knet_tests::cluster::message;

use crate::network::{Family, both_families};
use crate::program::Program;

both_families! { files_cross they_measure_together }

const SIZE: usize = 30_000;
const COUNT: usize = 40;

/// Each sends a file while it receives the other's.
fn files_cross(family: Family) {
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    let file = |start: usize| -> Vec<u8> {
        (start..start + COUNT).flat_map(|number| message(SIZE, number)).collect()
    };
    let arguments = |id: u16, peer: String| {
        let (size, count) = (SIZE.to_string(), COUNT.to_string());
        ["cat", "--id", &id.to_string(), "--peer", &peer, "--message-size", &size, "--recv", &count]
            .map(str::to_owned)
    };
    let ours = arguments(1, format!("2:{here}={there}"));
    let theirs = arguments(2, format!("1:{there}={here}"));
    let (one, two) = (file(0), file(1000));
    let (from_two, from_one) = thread::scope(|scope| {
        let ours = scope.spawn(|| Program::Knet.run(&ours, one.clone()));
        let theirs = scope.spawn(|| Program::LibknetPeer.run(&theirs, two.clone()));
        (ours.join().unwrap(), theirs.join().unwrap())
    });
    assert!(from_one == one && from_two == two);
}

/// Either is the other end of a benchmark, whichever of them sends.
fn they_measure_together(family: Family) {
    let (one, two) = (family.address(1, 0), family.address(2, 0));
    for (sender, receiver) in
        [(Program::Knet, Program::LibknetPeer), (Program::LibknetPeer, Program::Knet)]
    {
        for mode in ["throughput", "latency"] {
            let arguments = |role: &str, id: &str, peer: &str| {
                let plan = ["bench", "--json", "--count", "300", "--window", "8", "--mode", mode];
                let place = ["--role", role, "--id", id, "--peer", peer];
                plan.into_iter().chain(place).map(str::to_owned).collect::<Vec<_>>()
            };
            let sends = arguments("send", "1", &format!("2:{one}={two}"));
            let receives = arguments("recv", "2", &format!("1:{two}={one}"));
            thread::scope(|scope| {
                let sending = scope.spawn(|| sender.run(&sends, Vec::new()));
                let received = receiver.run(&receives, Vec::new());
                for report in [sending.join().unwrap(), received] {
                    let report = String::from_utf8(report).unwrap();
                    assert!(report.contains("\"messages\":300,\"lost\":0"), "{mode}: {report}");
                }
            });
        }
    }
}

#[test]
fn both_take_the_same_arguments() {
    let options = |program: Program, command: &str| -> Vec<String> {
        let output = program.command(&[command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
        let words = options.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
        words.map(str::to_owned).collect()
    };
    for command in ["cat", "bench"] {
        let ours = options(Program::Knet, command);
        assert!(ours.iter().any(|option| option == "--peer"), "{ours:?}");
        assert_eq!(ours, options(Program::LibknetPeer, command));
    }
}
