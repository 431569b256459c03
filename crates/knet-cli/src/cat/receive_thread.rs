//! The thread that reads received messages from the datafd.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kronosnet::{Error, MAX_MESSAGE};
use nix::poll::{PollFd, PollFlags};

use crate::cat::args::CatArgs;
use crate::cat::cluster::Cluster;
use crate::cat::event::{Event, Events};
use crate::cat::spool::Spool;
use crate::process::readiness;

/// The main thread's control over the thread.
#[derive(Debug)]
pub(crate) struct ReceiveThread {
    /// A byte reports the end of the input; the end of the stream requests a stop.
    control: UnixStream,
    received: Arc<AtomicU64>,
}

impl ReceiveThread {
    /// Starts moving messages from the datafd to `spool`, which is closed at the end. Sends
    /// [`Event::ReceivedEnough`] once the requested number of messages has been received.
    ///
    /// # Errors
    /// An error of the kernel if it refuses descriptors or a thread.
    pub(crate) fn start(
        cluster: Cluster,
        args: &CatArgs,
        spool: Arc<Spool>,
        events: Events,
    ) -> io::Result<Self> {
        let (control, commands) = UnixStream::pair()?;
        let received = Arc::new(AtomicU64::new(0));
        let mut receiver = Receiver {
            cluster,
            control: commands,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            spool,
            events,
            buffer: vec![0; MAX_MESSAGE],
            lines: args.lines,
            count: args.recv,
            received: received.clone(),
            input_ended: false,
            stopping: false,
        };
        thread::Builder::new().name("receive".into()).spawn(move || {
            if let Err(error) = receiver.run() {
                let _ = receiver.events.send(Event::OutputEnded(Err(error)));
            }
            receiver.spool.close();
        })?;
        Ok(Self { control, received })
    }

    /// Reports the end of the input. From now on the thread ends once it has enough messages, or
    /// once the reader closes the output.
    pub(crate) fn input_ended(&self) {
        // A thread that has ended needs no report.
        let _ = (&self.control).write_all(b"i");
    }

    /// Returns how many messages have been received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Makes the thread read the remaining messages and end.
    pub(crate) fn stop(self) {
        drop(self.control);
    }
}

struct Receiver {
    cluster: Cluster,
    control: UnixStream,
    stdout: OwnedFd,
    spool: Arc<Spool>,
    events: Events,
    buffer: Vec<u8>,
    /// `true` if each message is written as a line.
    lines: bool,
    /// The number of messages that is enough.
    count: u64,
    received: Arc<AtomicU64>,
    input_ended: bool,
    stopping: bool,
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Wait: the datafd is empty.
    Empty,
    /// Check for commands, although the datafd has more messages.
    Commands,
    /// End: no more messages are wanted.
    End,
}

impl Receiver {
    fn run(&mut self) -> io::Result<()> {
        loop {
            match self.receive()? {
                Next::End => return Ok(()),
                Next::Empty if self.stopping => return Ok(()),
                Next::Empty | Next::Commands => {}
            }
            if self.wait()? == Next::End {
                return Ok(());
            }
        }
    }

    /// Reads messages until the datafd is empty.
    fn receive(&mut self) -> io::Result<Next> {
        for _ in 0..MAX_AT_ONCE {
            if self.has_enough() {
                return Ok(Next::End);
            }
            match self.cluster.datafd.recv(&mut self.buffer) {
                Ok(length) => {
                    if !self.keep(length) {
                        return Ok(Next::End);
                    }
                }
                Err(Error::WouldBlock(_)) => {
                    self.cluster.arrivals.empty(self.cluster.lost());
                    return Ok(Next::Empty);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Next::Commands)
    }

    /// Adds a message to the spool. Returns `false` if the spool is closed.
    fn keep(&mut self, length: usize) -> bool {
        let message = &self.buffer[..length];
        // An empty line was sent as a newline, and must not get another one.
        let end: &[u8] = if self.lines && !message.ends_with(b"\n") { b"\n" } else { b"" };
        if !self.spool.add(&[message, end]) {
            return false;
        }
        self.cluster.arrivals.taken(length);
        if self.received.fetch_add(1, Ordering::Relaxed) + 1 == self.count {
            let _ = self.events.send(Event::ReceivedEnough);
        }
        true
    }

    /// Waits for messages and commands, and executes the commands.
    fn wait(&mut self) -> io::Result<Next> {
        let mut fds = [
            PollFd::new(self.cluster.datafd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            // Without POLLIN, only a closed read end is reported.
            PollFd::new(self.stdout.as_fd(), PollFlags::empty()),
        ];
        // While there is input, a closed output matters only once there is something to write.
        let watched = if self.input_ended { 3 } else { 2 };
        readiness::wait(&mut fds[..watched], None)?;
        let [_, command, stdout] = fds.map(|fd| fd.any().unwrap_or(false));
        if command {
            match self.control.read(&mut [0; 1])? {
                0 => self.stopping = true,
                _ => self.input_ended = true,
            }
        }
        Ok(if stdout { Next::End } else { Next::Empty })
    }

    /// Returns `true` if there is nothing left to wait for.
    fn has_enough(&self) -> bool {
        self.input_ended && self.received.load(Ordering::Relaxed) >= self.count
    }
}

/// How many messages to read before checking for commands.
const MAX_AT_ONCE: usize = 256;
