//! `knet` and `libknet-peer` are each other's other end.

use std::thread;

use knet_tests::cluster::message;

use crate::network::{Family, both_families};
use crate::program::Program;

both_families! { files_cross }

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

#[test]
fn both_take_the_same_arguments() {
    let options = |program: Program| -> Vec<String> {
        let output = program.command(&["cat", "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
        let words = options.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
        words.map(str::to_owned).collect()
    };
    let ours = options(Program::Knet);
    assert!(ours.iter().any(|option| option == "--peer"), "{ours:?}");
    assert_eq!(ours, options(Program::LibknetPeer));
}
