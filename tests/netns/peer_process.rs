//! A host as a process of its own, which can be killed and measured: the program `netns-host`.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use knet_tests::lan::{Family, address};
use knet_tests::namespace::Namespace;
use knet_tests::wait::readable;
use kronosnet::PingTimers;

use crate::member::PORT;

/// A running host. It is killed when this is dropped, and when the test ends.
#[derive(Debug)]
pub(crate) struct PeerProcess {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The activity of the process's handle so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) cpu: Duration,
    /// How many times its threads have gone to sleep.
    pub(crate) slept: u64,
    /// Pings that it sent or failed to send.
    pub(crate) pings: u64,
    /// Data packets that it sent.
    pub(crate) data_packets: u64,
}

impl PeerProcess {
    /// Starts host 2, with a link to host 1, which sends every message back. It listens when this
    /// returns.
    pub(crate) fn start(namespace: &Namespace, family: Family, timers: PingTimers) -> Self {
        let ends = [2, 1].map(|host| SocketAddr::new(address(family, host, 0), PORT).to_string());
        let times = [timers.interval, timers.timeout].map(|time| time.as_millis().to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_netns-host"));
        command.args(["2", "1"]).args(ends).args(times);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = namespace.enter(|| command.spawn()).unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, commands, answers };
        // It does not answer earlier.
        let _ = process.report();
        process
    }

    /// Asks the process for its activity so far.
    pub(crate) fn report(&mut self) -> Report {
        self.commands.write_all(b"\n").unwrap();
        readable(self.answers.get_ref());
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let numbers: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [micros, slept, pings, data_packets] = numbers[..] else { panic!("{line:?}") };
        Report { cpu: Duration::from_micros(micros), slept, pings, data_packets }
    }

    /// Kills the process with `SIGKILL`. Its socket is closed when this returns.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
