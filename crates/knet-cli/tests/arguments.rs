//! Wrong arguments, help and exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::process::{Command, Output};

use process::{free_address, run};
use snapbox::{assert_data_eq, file};

/// Command lines that are wrong, by what is wrong with them. `LINK` stands for a link, `ID` for
/// `--id 1`, `NINE` for nine links. Each is one line of words; quotes are not removed.
const WRONG: &[&str] = &[
    // Commands.
    "",
    "dance",
    "chek",
    "help dance",
    "--dance",
    "--id 1 cat",
    "-v cat",
    "version",
    // Required options.
    "cat",
    "cat ID",
    "check --peer LINK",
    "monitor",
    "bench --role send",
    "bench ID --peer LINK",
    "bench --role send ID",
    // Unknown options.
    "check --idd 1 --peer LINK",
    "check --ID 1 --peer LINK",
    "check ID --per LINK",
    "check ID --peers LINK",
    "cat ID --peer LINK --line",
    "cat ID --peer LINK --messages 5",
    "cat ID --peer LINK -x",
    "bench -s 1",
    "bench --sizes 8",
    "bench --dance",
    "monitor ID --peer LINK --onec",
    "demo --file x",
    // Values without an option.
    "check 1 --peer LINK",
    "check ID LINK",
    "check ID 2 --peer LINK",
    "demo one two",
    "bench 8",
    "cat ID --peer LINK -1",
    // Options without a value, or twice.
    "check ID --peer",
    "check --peer LINK --id",
    "check ID --peer LINK --format",
    "cat ID --peer LINK --to",
    "check ID ID --peer LINK",
    "cat ID --peer LINK --wait 1 --wait 2",
    "cat ID --peer LINK --lines --lines",
    "cat ID --peer LINK --lines=yes",
    // Host ids.
    "check --id -1 --peer LINK",
    "check --id=-1 --peer LINK",
    "check --id one --peer LINK",
    "check --id= --peer LINK",
    "check --id 65536 --peer LINK",
    "check --id 1.5 --peer LINK",
    "check --id 0x1 --peer LINK",
    "check --id \x1b[31m1 --peer LINK",
    "cat --id 2 --peer LINK",
    "check --id 2 --peer LINK",
    "monitor --id 2 --peer LINK",
    "bench --role send --id 2 --peer LINK",
    "cat ID --peer LINK --to 3",
    "cat ID --peer LINK --to x",
    "cat ID --peer LINK --to -2",
    "cat ID --peer LINK --to 1",
    // Links.
    "check ID --peer 2",
    "check ID --peer -1",
    "check ID --peer 2:127.0.0.1:5001",
    "check ID --peer 127.0.0.1:5001=127.0.0.1:5002",
    "check ID --peer x:127.0.0.1:5001=127.0.0.1:5002",
    "check ID --peer -2:127.0.0.1:5001=127.0.0.1:5002",
    "check ID --peer 70000:127.0.0.1:5001=127.0.0.1:5002",
    "check ID --peer 2:localhost:5001=127.0.0.1:5002",
    "check ID --peer 2:127.0.0.1=127.0.0.1:5002",
    "check ID --peer 2:127.0.0.1:5001=127.0.0.256:5002",
    "check ID --peer 2:127.0.0.1:5001=127.0.0.1:65536",
    "check ID --peer 2:127.0.0.1:0=127.0.0.1:5002",
    "check ID --peer 2:127.0.0.1:5001=127.0.0.1:0",
    "check ID --peer 2:::1:5001=[::1]:5002",
    "check ID --peer 2:127.0.0.1:5001=[::1]:5002",
    "check ID --peer 2:127.0.0.1:5001=0.0.0.0:5002",
    "check ID --peer 2:127.0.0.1:5001=224.0.0.1:5002",
    "check ID --peer 2:127.0.0.1:5001=255.255.255.255:5002",
    "check ID --peer 2:[::1]:5001=[ff02::1]:5002",
    "check ID --peer 2:127.0.0.1:5001=127.0.0.1:5001",
    "check ID --peer 2:[fe80::1]:5001=[fe80::2]:5002",
    "check ID --peer 2:[::ffff:127.0.0.1]:5001=[::1]:5002",
    "check ID --peer 2:127.0.0.1:5001=127.0.0.0/8",
    "cat ID --peer 2:127.0.0.1:5001=127.0.0.1/8",
    "cat ID --peer 2:127.0.0.1:5001=127.0.0.0/33",
    "cat ID --peer 2:127.0.0.1:5001=::/0",
    "cat ID --peer NINE",
    "cat ID --peer 2:192.0.2.1:5001=192.0.2.2:5001",
    "monitor --once ID --peer 2:192.0.2.1:5001=192.0.2.2:5001",
    "bench --role send ID --peer 2:192.0.2.1:5001=192.0.2.2:5001",
    "bench --role send ID --peer LINK 3:127.0.0.1:5003=127.0.0.1:5004",
    // Numbers.
    "cat ID --peer LINK --channel 32",
    "cat ID --peer LINK --channel -1",
    "check ID --peer LINK --channel x",
    "check ID --peer LINK --count 0",
    "check ID --peer LINK --count -5",
    "check ID --peer LINK --count abc",
    "check ID --peer LINK --count 99999999999",
    "check ID --peer LINK --wait -1",
    "check ID --peer LINK --wait 5s",
    "check ID --peer LINK --wait inf",
    "cat ID --peer LINK --wait long",
    "cat ID --peer LINK --recv -1",
    "cat ID --peer LINK --recv all",
    "cat ID --peer LINK --message-size 0",
    "cat ID --peer LINK --message-size 65537",
    "cat ID --peer LINK --message-size 1e3",
    "bench --size 7",
    "bench --size -7",
    "bench --count 0",
    "bench --window 5000",
    "bench --batch 65",
    "bench --links 9",
    "bench --links 0",
    "bench --hosts 0",
    "bench --channels 1",
    "bench --seconds 0",
    "bench --pause x",
    // Words.
    "check ID --peer LINK --exchange auot",
    "check ID --peer LINK --exchange often",
    "check ID --peer LINK --format xml",
    "bench --mode speed",
    "bench --policy round-robin",
    "bench --via pigeon",
    // Combinations.
    "cat ID --peer LINK --lines --message-size 9",
    "monitor ID --peer LINK --wait 5",
    "monitor ID --peer LINK --format json",
    "monitor ID --peer LINK",
    "bench --mode create --role send ID --peer LINK",
    "bench --role send ID --peer LINK --links 2",
];

const LINK: &str = "2:127.0.0.1:5001=127.0.0.1:5002";

fn words(line: &str) -> Vec<&str> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    let expand = |word| match word {
        "LINK" => vec![LINK],
        "ID" => vec!["--id", "1"],
        "NINE" => vec![LINK; 9],
        _ => vec![word],
    };
    words.flat_map(expand).collect()
}

/// The value that is wrong is in the message too, which the expected messages show.
#[test]
fn wrong_arguments_are_one_line_that_says_what_is_wrong_and_what_to_do() {
    let mut messages = String::new();
    for line in WRONG {
        let finished = run(&words(line), b"");
        let message = finished.expect_failure(2);
        assert!(finished.stdout.is_empty(), "{line}");
        assert!(!message.contains(char::is_control), "{line}: {message:?}");
        messages += &format!("$ knet {}\n{message}\n", line.escape_debug());
    }
    // After a change of the messages: SNAPSHOTS=overwrite cargo test -p knet-cli --test arguments
    assert_data_eq!(messages, file!["arguments.txt"].raw());
}

/// Runs `knet cat -v` without a peer, with this value of `RUST_LOG`.
fn cat_with_log(filter: &str) -> Output {
    let peer = format!("2:{}={}", free_address(), free_address());
    let mut cat = Command::new(env!("CARGO_BIN_EXE_knet"));
    cat.args(["cat", "-v", "--id", "1", "--wait", "0.2", "--peer", &peer]);
    cat.env("RUST_LOG", filter).output().unwrap()
}

#[test]
fn a_log_filter_that_is_none_is_reported() {
    let output = cat_with_log("debgu");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.starts_with("knet: RUST_LOG is 'debgu': 'debgu' is no level"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn the_log_has_colours_on_a_terminal_only() {
    let output = cat_with_log("trace");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("subsystem="), "{log}");
    assert!(!log.contains('\x1b'), "{log:?}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (args, expected) in [
        (&["--help"][..], "knet"),
        (&["cat", "--help"], "--message-size"),
        (&["demo", "--help"], "[FILE]"),
        (&["bench", "--help"], "--window"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let finished = run(args, b"");
        finished.expect_success();
        assert!(finished.text().contains(expected), "{args:?}");
    }
}

#[test]
fn help_is_as_wide_as_the_terminal() {
    for command in ["--help", "cat", "check", "monitor", "bench", "demo"] {
        let mut help = Command::new(env!("CARGO_BIN_EXE_knet"));
        help.arg(command).args((command != "--help").then_some("--help"));
        let text = help.env("COLUMNS", "80").output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest > Some(60) && widest <= Some(80), "{command}: {widest:?}\n{text}");
    }
}
