//! Runs the real `knet` command and communicates with it through pipes, always with a deadline.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Long enough for a busy machine. No test waits for it to expire.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running command.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    deadline: Instant,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None` if a signal ended the command.
    pub(crate) code: Option<i32>,
    /// The signal that ended the command.
    pub(crate) signal: Option<Signal>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// One of a command's outputs.
struct Stream<P> {
    /// `None` once the stream has ended.
    pipe: Option<P>,
    bytes: Vec<u8>,
    /// The position up to which lines have been searched.
    seen: usize,
}

/// Starts `knet` with its standard input open.
pub(crate) fn start(args: &[&str]) -> Running {
    start_with(args, Stdio::piped(), Stdio::piped())
}

/// Starts `knet` with these standard streams.
pub(crate) fn start_with(args: &[&str], stdin: Stdio, stdout: Stdio) -> Running {
    let command = Command::new(env!("CARGO_BIN_EXE_knet"));
    start_command(command, args, stdin, stdout)
}

/// Starts `knet` by a shell that closes some of its standard streams, such as `>&-`.
pub(crate) fn start_without(streams: &str, args: &[&str]) -> Running {
    let mut command = Command::new("sh");
    let script = format!("exec \"$0\" \"$@\" {streams}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_knet")]);
    start_command(command, args, Stdio::piped(), Stdio::piped())
}

fn start_command(mut command: Command, args: &[&str], stdin: Stdio, stdout: Stdio) -> Running {
    command.args(args).env_remove("RUST_LOG");
    let mut child = command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    let stdout = Stream { pipe: child.stdout.take(), bytes: Vec::new(), seen: 0 };
    let stderr = Stream { pipe: child.stderr.take(), bytes: Vec::new(), seen: 0 };
    Running { child, stdin, stdout, stderr, deadline: Instant::now() + DEADLINE }
}

/// Starts `knet` with its output connected to this descriptor.
pub(crate) fn start_into(args: &[&str], stdout: OwnedFd) -> Running {
    start_with(args, Stdio::piped(), stdout.into())
}

/// Runs `knet` with this input and waits for its end.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Finished {
    let mut running = start(args);
    running.feed_and_close(input.to_vec());
    running.finish()
}

impl Running {
    /// Writes to its standard input, which stays open.
    pub(crate) fn feed(&mut self, input: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(input).unwrap();
    }

    /// Writes to its standard input and closes it, without waiting for the command to read.
    pub(crate) fn feed_and_close(&mut self, input: Vec<u8>) {
        let mut stdin = self.stdin.take().unwrap();
        // A command that ends early does not read everything.
        thread::spawn(move || stdin.write_all(&input));
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Closes the reading end of its standard output.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout.pipe = None;
    }

    /// Waits for a line on its standard output that contains `text`.
    pub(crate) fn wait_for_output(&mut self, text: &str) {
        while !self.stdout.has_line(text) {
            self.read_more();
        }
    }

    /// Waits for a line on its standard error that contains `text`.
    pub(crate) fn wait_for_error(&mut self, text: &str) {
        while !self.stderr.has_line(text) {
            self.read_more();
        }
    }

    /// Waits until it has used a fifth of a second of CPU time, as one that works does.
    pub(crate) fn wait_until_busy(&self) {
        let path = format!("/proc/{}/stat", self.child.id());
        loop {
            let stat = std::fs::read_to_string(&path).unwrap();
            // The times of proc_pid_stat(5) follow the name, which may contain spaces.
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            let ticks: u64 = fields[11..13].iter().map(|time| time.parse::<u64>().unwrap()).sum();
            if ticks >= 20 {
                return;
            }
            assert!(Instant::now() < self.deadline, "it does nothing: {stat}");
            thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Stops it, and waits until all of its threads have stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let process = Pid::from_raw(self.child.id().try_into().unwrap());
        let state = waitpid(process, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(state, WaitStatus::Stopped(process, Signal::SIGSTOP));
    }

    /// Resumes it after [`Running::stop`].
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Closes its standard input and waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        self.stdin = None;
        self.finish_with_open_input()
    }

    /// Waits for its end with its standard input still open.
    pub(crate) fn finish_with_open_input(mut self) -> Finished {
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            self.read_more();
        }
        // It has closed its pipes, so it is about to end.
        let status = self.child.wait().unwrap();
        let signal = status.signal().map(|signal| Signal::try_from(signal).unwrap());
        let stdout = std::mem::take(&mut self.stdout.bytes);
        Finished { code: status.code(), signal, stdout, stderr: self.stderr.text() }
    }

    /// Returns `true` if it closes its outputs in this time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            if !self.read_until(until) {
                return false;
            }
        }
        true
    }

    /// Waits until it writes something or closes an output.
    fn read_more(&mut self) {
        if !self.read_until(self.deadline) {
            let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
            panic!("the command does not do what it should. Output:\n{stdout}\nErrors:\n{stderr}");
        }
    }

    /// Reads what the command writes next. Returns `false` if it writes nothing until then or has closed
    /// its outputs.
    fn read_until(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap();
        let pipes = [
            self.stdout.pipe.as_ref().map(AsFd::as_fd),
            self.stderr.pipe.as_ref().map(AsFd::as_fd),
        ];
        let mut fds: Vec<PollFd<'_>> =
            pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if fds.is_empty() || poll(&mut fds, timeout).unwrap() == 0 {
            return false;
        }
        self.stdout.read_some();
        self.stderr.read_some();
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Checks that the command failed with this code and a one-line message, and returns the message.
    pub(crate) fn expect_failure(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stderr.matches('\n').count(), 1, "one line: {}", self.stderr);
        self.stderr.strip_prefix("knet: ").unwrap().trim_end()
    }

    /// Checks that the command ended by this signal, and returns the line that it wrote before, if any.
    pub(crate) fn expect_end_by(&self, signal: Signal) -> &str {
        assert_eq!((self.code, self.signal), (None, Some(signal)), "{}", self.stderr);
        assert!(self.stderr.matches('\n').count() <= 1, "one line: {}", self.stderr);
        self.stderr.strip_prefix("knet: ").unwrap_or_default().trim_end()
    }

    /// Checks that the command succeeded and wrote nothing to standard error.
    pub(crate) fn expect_success(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

impl<P: Read + AsFd> Stream<P> {
    /// Reads what is available, without blocking.
    fn read_some(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO).unwrap() == 0 {
            return;
        }
        let mut buffer = [0; 64 * 1024];
        match pipe.read(&mut buffer).unwrap() {
            0 => self.pipe = None,
            length => self.bytes.extend(&buffer[..length]),
        }
    }

    /// Returns `true` if one of the lines not searched before contains `text`.
    fn has_line(&mut self, text: &str) -> bool {
        while let Some(end) = self.bytes[self.seen..].iter().position(|&byte| byte == b'\n') {
            let line = &self.bytes[self.seen..][..end];
            self.seen += end + 1;
            if String::from_utf8_lossy(line).contains(text) {
                return true;
            }
        }
        false
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Returns an unused UDP address. Each call in this process returns a loopback address of its own, so
/// that tests never share a port.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    free_port(ip.into())
}

/// Returns an unused UDP address with this IP address.
pub(crate) fn free_port(ip: IpAddr) -> SocketAddr {
    let is_free = |address: &SocketAddr| UdpSocket::bind(address).is_ok();
    let mut picked = std::iter::repeat_with(|| {
        let picked = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port();
        // Moved below the ports that the kernel picks: until the address is bound again, sockets that
        // ask for any port on all addresses, such as those of a look-up of a route, cannot take it.
        SocketAddr::new(ip, 10_000 + picked % 20_000)
    });
    picked.find(is_free).expect("the iterator does not end")
}
