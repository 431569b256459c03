//! `libknet-peer cat`: standard input to the peers, messages from the peers to standard output.
//!
//! A single thread does everything in turn.

mod cluster;
mod framing;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kronosnet::MAX_MESSAGE;
use libknet_peer::libknet::Library;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::CatArgs;
use crate::cat::cluster::Cluster;
use crate::cat::framing::Framing;
use crate::exit::Unreachable;
use crate::stderr;

/// Runs until the input has ended and enough messages were received, or until something ends the
/// program earlier.
///
/// # Errors
/// [`Usage`](crate::exit::Usage), [`Unreachable`], and any other failure.
pub(crate) fn run(library: &'static Library, args: &CatArgs) -> anyhow::Result<()> {
    let (signals, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    let cluster = Cluster::start(library, args)?;
    let mut session = Session {
        framing: Framing::new((!args.lines).then_some(args.message_size)),
        next: None,
        args,
        stdin: File::from(io::stdin().as_fd().try_clone_to_owned()?),
        stdout: File::from(io::stdout().as_fd().try_clone_to_owned()?),
        signals,
        started: false,
        deadline: Instant::now() + args.wait,
        input_ended: false,
        received: 0,
        cluster,
    };
    let timeout = loop {
        match session.turn()? {
            Next::More => {}
            Next::Done => break LAST_PONGS,
            Next::End => break Duration::ZERO,
        }
    };
    let lost = session.cluster.close(timeout)?;
    ensure!(lost == 0, "{lost} message(s) were lost: the output was not read fast enough");
    Ok(())
}

/// How the session continues.
enum Next {
    /// There is more to do.
    More,
    /// The job is done.
    Done,
    /// A signal was received, or the reader closed the output.
    End,
}

struct Session<'a> {
    args: &'a CatArgs,
    cluster: Cluster,
    stdin: File,
    stdout: File,
    /// Readable once a signal was received.
    signals: UnixStream,
    framing: Framing,
    /// The next message to send.
    next: Option<Vec<u8>>,
    /// `true` once all peers have been reachable.
    started: bool,
    /// When to stop waiting for peers that are not reachable.
    deadline: Instant,
    input_ended: bool,
    received: u64,
}

impl Session<'_> {
    /// Sends and receives what is ready, then waits for more.
    fn turn(&mut self) -> anyhow::Result<Next> {
        let sent = self.send()?;
        if sent && self.input_ended && self.received >= self.args.recv {
            return Ok(Next::Done);
        }
        let wants_input = sent && self.started && !self.input_ended;
        let mut fds = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.cluster.datafd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stdin.as_fd(), PollFlags::POLLIN),
        ];
        let watched = if wants_input { 3 } else { 2 };
        // libknet reports neither pongs nor hosts to this thread, so poll them.
        match poll(&mut fds[..watched], PollTimeout::from(POLL_INTERVAL)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [signal, message, input] = fds.map(|fd| fd.any().unwrap_or(false));
        if signal || (message && !self.receive()?) {
            return Ok(Next::End);
        }
        if wants_input && input {
            let mut buffer = [0; 65536];
            let length = self.stdin.read(&mut buffer).context("cannot read the input")?;
            self.input_ended = length == 0;
            self.framing.add(&buffer[..length]);
        }
        Ok(Next::More)
    }

    /// Sends available input while the peers have room. Returns `true` if nothing is left.
    fn send(&mut self) -> anyhow::Result<bool> {
        loop {
            if self.next.is_none() {
                self.next = self.framing.take(self.input_ended)?;
            }
            if self.started && self.next.is_none() {
                // Peers may be gone while there is nothing to send.
                self.deadline = Instant::now() + self.args.wait;
                return Ok(true);
            }
            if !self.is_complete()? || !self.cluster.has_room()? {
                return Ok(false);
            }
            if let Some(message) = self.next.take() {
                self.cluster.send(&message)?;
            }
        }
    }

    /// Returns `true` if enough peers are reachable: all of them at the start, one of them later.
    fn is_complete(&mut self) -> Result<bool, Unreachable> {
        let missing = self.cluster.missing();
        let enough = missing.is_empty() || (self.started && self.cluster.has_any());
        if enough {
            if !self.started && self.args.verbose {
                stderr::line(format_args!("all peers are reachable"));
            }
            self.started = true;
            self.deadline = Instant::now() + self.args.wait;
        } else if Instant::now() >= self.deadline {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let (seconds, missing) = (self.args.wait.as_secs_f64(), missing.join(", "));
            return Err(Unreachable(format!("after {seconds} s not reachable: host {missing}")));
        }
        Ok(enough)
    }

    /// Writes received messages. Returns `false` if the reader has closed the output.
    fn receive(&mut self) -> anyhow::Result<bool> {
        let mut buffer = vec![0; MAX_MESSAGE];
        while self.received < self.args.recv || !self.input_ended {
            let length = match self.cluster.datafd.recv(&mut buffer) {
                Err(error) if error.errno == Errno::EAGAIN as i32 => break,
                length => length?,
            };
            let message = &buffer[..length];
            let end: &[u8] = if self.args.lines && message != b"\n" { b"\n" } else { b"" };
            match self.stdout.write_all(&[message, end].concat()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                written => written.context("cannot write the output")?,
            }
            self.received += 1;
        }
        Ok(true)
    }
}

/// How often to check whether the peers have answered, in milliseconds.
const POLL_INTERVAL: u16 = 10;
/// How long the peers may take to answer at the end.
const LAST_PONGS: Duration = Duration::from_secs(10);
