//! The thread that takes received messages out of the datafd.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use kronosnet::{Datafd, Error, MAX_MESSAGE};
use nix::poll::{PollFd, PollFlags};

use crate::args::CatArgs;
use crate::cat::event::{Event, Events};
use crate::cat::spool::Spool;
use crate::readiness;

/// The main thread's hold on it.
#[derive(Debug)]
pub(crate) struct Intake {
    /// A byte says that the input is at its end; the end of the stream says that it is time to
    /// stop.
    orders: UnixStream,
}

impl Intake {
    /// Starts moving messages from `datafd` to `spool`, which is closed at the end.
    /// [`Event::ReceivedEnough`] comes when there are as many as the arguments ask for.
    ///
    /// # Errors
    /// If the kernel refuses descriptors or a thread.
    pub(crate) fn start(
        datafd: Datafd,
        args: &CatArgs,
        spool: Arc<Spool>,
        events: Events,
    ) -> io::Result<Self> {
        let (ours, orders) = UnixStream::pair()?;
        let mut receiver = Receiver {
            datafd,
            orders,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            spool,
            events,
            buffer: vec![0; MAX_MESSAGE],
            lines: args.lines,
            count: args.recv,
            received: 0,
            input_ended: false,
            stopping: false,
        };
        thread::Builder::new().name("intake".into()).spawn(move || {
            if let Err(error) = receiver.run() {
                let _ = receiver.events.send(Event::OutputEnded(Err(error)));
            }
            receiver.spool.close();
        })?;
        Ok(Self { orders: ours })
    }

    /// Says that the input is at its end: from now on the thread ends when it has enough messages,
    /// or when nobody reads the output any more.
    pub(crate) fn input_ended(&self) {
        // If the thread has ended it does not need to know.
        let _ = (&self.orders).write_all(b"i");
    }

    /// Makes it take what is there and end.
    pub(crate) fn stop(self) {
        drop(self.orders);
    }
}

struct Receiver {
    datafd: Datafd,
    orders: UnixStream,
    stdout: OwnedFd,
    spool: Arc<Spool>,
    events: Events,
    buffer: Vec<u8>,
    /// Whether each message becomes a line.
    lines: bool,
    /// How many messages are enough.
    count: u64,
    received: u64,
    input_ended: bool,
    stopping: bool,
}

/// Why the thread looks up from its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Nothing is waiting in the datafd now.
    Empty,
    /// It is time to see whether there are orders.
    Orders,
    /// Nothing more is wanted.
    End,
}

impl Receiver {
    fn run(&mut self) -> io::Result<()> {
        loop {
            match self.receive()? {
                Next::End => return Ok(()),
                Next::Empty if self.stopping => return Ok(()),
                Next::Empty | Next::Orders => {}
            }
            if self.wait()? == Next::End {
                return Ok(());
            }
        }
    }

    /// Takes messages out until none is waiting.
    fn receive(&mut self) -> io::Result<Next> {
        for _ in 0..MAX_AT_ONCE {
            if self.has_enough() {
                return Ok(Next::End);
            }
            match self.datafd.recv(&mut self.buffer) {
                Ok(length) => {
                    if !self.keep(length) {
                        return Ok(Next::End);
                    }
                }
                Err(Error::WouldBlock(_)) => return Ok(Next::Empty),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Next::Orders)
    }

    /// Hands a message on; whether anybody wants it.
    fn keep(&mut self, length: usize) -> bool {
        let message = &self.buffer[..length];
        let end: &[u8] = if self.lines && !message.ends_with(b"\n") { b"\n" } else { b"" };
        if !self.spool.add(&[message, end]) {
            return false;
        }
        self.received += 1;
        if self.received == self.count {
            let _ = self.events.send(Event::ReceivedEnough);
        }
        true
    }

    /// Waits for messages and orders, and takes the orders.
    fn wait(&mut self) -> io::Result<Next> {
        let mut fds = [
            PollFd::new(self.datafd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.orders.as_fd(), PollFlags::POLLIN),
            // Without POLLIN nothing is reported but that nobody is at the other end.
            PollFd::new(self.stdout.as_fd(), PollFlags::empty()),
        ];
        // While there is input, a closed output matters only if there is something to write.
        let watched = if self.input_ended { 3 } else { 2 };
        readiness::wait(&mut fds[..watched], None)?;
        let [_, orders, stdout] = fds.map(|fd| fd.any().unwrap_or(false));
        if orders {
            match self.orders.read(&mut [0; 1])? {
                0 => self.stopping = true,
                _ => self.input_ended = true,
            }
        }
        Ok(if stdout { Next::End } else { Next::Empty })
    }

    /// Whether there is nothing left to wait for.
    fn has_enough(&self) -> bool {
        self.input_ended && self.received >= self.count
    }
}

/// After so many messages it is time to look for orders.
const MAX_AT_ONCE: usize = 256;
