//! The programs `knet` and `libknet-peer`, run as processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use knet_tests::wait::DEADLINE;

/// The implementation of a `cat`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Knet,
    LibknetPeer,
}

/// A `cat` that writes lines until it is killed or dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Program {
    /// Returns a command of the program, which `cargo xtask interop` has built next to this suite.
    pub(crate) fn command<A: AsRef<OsStr>>(self, arguments: &[A]) -> Command {
        let name = match self {
            Self::Knet => "knet",
            Self::LibknetPeer => "libknet-peer",
        };
        let suite = std::env::current_exe().unwrap();
        let path: PathBuf = suite.ancestors().nth(2).unwrap().join(name);
        assert!(path.exists(), "{} is not built: run `cargo xtask interop`", path.display());
        let mut command = Command::new(path);
        command.args(arguments).env_remove("RUST_LOG");
        command
    }

    /// Starts the program in the network of this thread.
    pub(crate) fn start<A: AsRef<OsStr>>(self, arguments: &[A]) -> Running {
        let pipe = Stdio::piped;
        let mut child = self.command(arguments).stdin(pipe()).stdout(pipe()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = crossbeam_channel::unbounded();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Running { child, stdin, lines }
    }

    /// Runs the program to its end, with this input, and returns its output.
    pub(crate) fn run<A: AsRef<OsStr>>(self, arguments: &[A], input: Vec<u8>) -> Vec<u8> {
        let pipe = Stdio::piped;
        let mut child = self.command(arguments).stdin(pipe()).stdout(pipe()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = thread::spawn(move || stdin.write_all(&input));
        let mut stdout = child.stdout.take().unwrap();
        let (sender, all) = crossbeam_channel::bounded(1);
        thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.read_to_end(&mut output);
            let _ = sender.send(read.map(|_| output));
        });
        let output = all.recv_timeout(2 * DEADLINE);
        if output.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().unwrap();
        let output = output.expect("it does not end").unwrap();
        assert!(status.success(), "{self:?} failed: {status}");
        feed.join().unwrap().unwrap();
        output
    }
}

impl Running {
    /// Sends these lines.
    pub(crate) fn feed(&mut self, lines: impl Iterator<Item = String>) {
        let lines: String = lines.map(|line| line + "\n").collect();
        self.stdin.write_all(lines.as_bytes()).unwrap();
    }

    /// Returns the next line that it received.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("it receives nothing")
    }

    /// Returns the next line that it received, if it comes in time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// Returns `true` if a line was received.
    pub(crate) fn has_line(&self) -> bool {
        !self.lines.is_empty()
    }
}

impl Drop for Running {
    /// Kills the program without any warning: SIGKILL.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
