//! The programs `knet` and `libknet-peer`, connected to each other.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::message;
use knet_tests::wait::DEADLINE;

use crate::network::{Family, both_families};
use crate::program::{Program, Running};

both_families! {
    files_cross
    a_benchmark_runs_between_them
    lines_cross_after_discovery
    strangers_stay_outside
    both_accept_the_same_arguments
}

const SIZE: usize = 30_000;
const COUNT: usize = 40;

/// Sends a file both ways at the same time.
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

/// Runs a benchmark between the two, with either of them as the sender.
fn a_benchmark_runs_between_them(family: Family) {
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

/// Sends lines both ways while one end learns the address of the other from its packets.
fn lines_cross_after_discovery(family: Family) {
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    for (waits, visits) in BOTH_WAYS {
        let mut one = waits.start(&chat(1, &format!("2:{here}={}", network(family, 2))));
        let mut two = visits.start(&chat(2, &format!("1:{there}={here}")));
        crosses(family, &mut one, &two);
        crosses(family, &mut two, &one);
    }
}

/// Sends lines from one until the other receives one. While they discover each other, some may be
/// lost.
fn crosses(family: Family, from: &mut Running, to: &Running) {
    let give_up = Instant::now() + DEADLINE;
    for number in 0.. {
        assert!(Instant::now() < give_up, "none of {number} lines arrives");
        from.feed(std::iter::once(format!("{family:?} line {number}")));
        let Some(line) = to.line_within(Duration::from_millis(200)) else { continue };
        let sent = line.strip_prefix(&format!("{family:?} line ")).expect(&line);
        assert!(sent.parse::<usize>().expect(&line) <= number, "{line}");
        return;
    }
}

/// Checks that neither accepts a peer outside of the specified network.
fn strangers_stay_outside(family: Family) {
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    for (waits, visits) in BOTH_WAYS {
        let _visitor = visits.start(&chat(2, &format!("1:{there}={here}")));
        let peer = format!("2:{here}={}", network(family, 3));
        let arguments = ["cat", "--id", "1", "--peer", &peer, "--wait", "5"];
        assert_eq!(outcome(waits, &arguments).0, UNREACHABLE, "{waits:?}");
    }
}

/// Sends and receives lines until it is killed.
fn chat(id: u16, peer: &str) -> Vec<String> {
    let (id, wait) = (id.to_string(), (2 * DEADLINE).as_secs().to_string());
    let arguments =
        ["cat", "--lines", "--id", &id, "--peer", peer, "--recv", "1000000", "--wait", &wait];
    arguments.map(str::to_owned).to_vec()
}

/// Returns the network that contains only this host.
fn network(family: Family, host: u16) -> String {
    let bits = if family == Family::V4 { 32 } else { 128 };
    format!("{}/{bits}", family.address(host, 0).ip())
}

/// Returns how a program without any input ends: its exit code, and its standard error.
fn outcome(program: Program, arguments: &[&str]) -> (i32, String) {
    let output = program.command(arguments).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn both_accept_the_same_arguments(family: Family) {
    let options = |program: Program, command: &str| -> Vec<String> {
        let output = program.command(&[command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        // Any line of a text may begin with an option, but texts are not indented, or more than options.
        let indented = |line: &&str| (2..=6).contains(&(line.len() - line.trim_start().len()));
        let options = help.lines().filter(indented).map(str::trim);
        let options = options.filter(|line| line.starts_with('-'));
        let words = options.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
        words.map(str::to_owned).collect()
    };
    for command in ["cat", "bench"] {
        let ours = options(Program::Knet, command);
        assert!(ours.iter().any(|option| option == "--peer"), "{ours:?}");
        assert_eq!(ours, options(Program::LibknetPeer, command));
    }
    let here = family.address(1, 0);
    for program in [Program::Knet, Program::LibknetPeer] {
        // No peer comes, so a program whose arguments are accepted ends at once.
        let (everywhere, elsewhere) = match family {
            Family::V4 => ("0.0.0.0/0", "::/0"),
            Family::V6 => ("::/0", "0.0.0.0/0"),
        };
        let too_many = format!("{}/129", here.ip());
        let outside = format!("{}/8", here.ip());
        for (remote, code) in [
            (network(family, 2).as_str(), UNREACHABLE),
            (everywhere, UNREACHABLE),
            (elsewhere, USAGE),
            (&too_many, USAGE),
            (&outside, USAGE),
        ] {
            let peer = format!("2:{here}={remote}");
            let arguments = ["cat", "--id", "1", "--peer", &peer, "--wait", "0"];
            let (found, error) = outcome(program, &arguments);
            assert_eq!(found, code, "{program:?} {peer}: {error}");
        }
        let peer = format!("2:{here}={everywhere}");
        let arguments = ["bench", "--role", "recv", "--id", "1", "--peer", &peer, "--wait", "0"];
        let (found, error) = outcome(program, &arguments);
        assert_eq!(found, USAGE, "{program:?}: {error}");
        let message = format!("'{everywhere}' is a network: write the peer's address");
        assert!(error.contains(&message), "{program:?}: {error}");
    }
}

/// The side that is discovered, and the side that discovers.
const BOTH_WAYS: [(Program, Program); 2] =
    [(Program::Knet, Program::LibknetPeer), (Program::LibknetPeer, Program::Knet)];
/// The exit codes of both programs.
const USAGE: i32 = 2;
const UNREACHABLE: i32 = 3;
