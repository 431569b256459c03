//! Wrong arguments, help and exit codes.

mod process;

use process::run;

const PEER: &str = "2:127.0.0.1:5001=127.0.0.1:5002";

#[test]
fn wrong_arguments_are_one_line_and_exit_code_2() {
    let nine_links: Vec<&str> =
        ["cat", "--id", "1", "--peer"].into_iter().chain([PEER; 9]).collect();
    let cases: &[(&[&str], &str)] = &[
        (&[], "demo, cat, bench, monitor or check"),
        (&["dance"], "'dance'"),
        (&["demo", "one", "two"], "'two'"),
        (&["cat"], "--id <HOST>"),
        (&["cat", "--id", "1"], "--peer <HOST:LOCAL=REMOTE>"),
        (&["cat", "--id", "one", "--peer", PEER], "'one'"),
        (&["cat", "--id", "65536", "--peer", PEER], "'65536'"),
        (&["cat", "--id", "1", "--peer", "2:nowhere=127.0.0.1:5002"], "'nowhere'"),
        (&["cat", "--id", "1", "--peer", "2:127.0.0.1=127.0.0.1:5002"], "'127.0.0.1'"),
        (&["cat", "--id", "1", "--peer", "2:127.0.0.1:5001=[::1]:5002"], "IPv6"),
        (&["cat", "--id", "2", "--peer", PEER], "our own id"),
        (&nine_links, "more than 8 links"),
        (&["cat", "--id", "1", "--peer", PEER, "--channel", "32"], "channel 32"),
        (&["cat", "--id", "1", "--peer", PEER, "--message-size", "65537"], "65536"),
        (&["cat", "--id", "1", "--peer", PEER, "--message-size", "0"], "65536"),
        (&["cat", "--id", "1", "--peer", PEER, "--lines", "--message-size", "9"], "--lines"),
        (&["cat", "--id", "1", "--peer", PEER, "--to", "3"], "--to 3"),
        (&["cat", "--id", "1", "--peer", PEER, "--wait", "long"], "'long'"),
        (&["cat", "--id", "1", "--peer", PEER, "--recv", "all"], "'all'"),
        (&["bench", "--size", "7"], "from 8 to 65536"),
        (&["bench", "--role", "send"], "--id <HOST>"),
        (&["bench", "--id", "1", "--peer", PEER], "--role <ROLE>"),
        (&["bench", "--role", "send", "--id", "2", "--peer", PEER], "one other host"),
        (&["monitor", "--id", "2", "--peer", PEER], "our own id"),
        (&["monitor", "--id", "1", "--peer", PEER, "--wait", "5"], "--once"),
        (&["check", "--id", "2", "--peer", PEER], "our own id"),
        (&["check", "--id", "1", "--peer", PEER, "--count", "0"], "--count"),
        (&["check", "--id", "1", "--peer", PEER, "--exchange", "often"], "'often'"),
        (&["check", "--id", "1", "--peer", PEER, "--format", "xml"], "'xml'"),
    ];
    for (args, expected) in cases {
        let finished = run(args, b"");
        let line = finished.expect_failure(2);
        assert!(line.contains(expected), "{args:?}: {line}");
        assert!(finished.stdout.is_empty(), "{args:?}");
    }
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
