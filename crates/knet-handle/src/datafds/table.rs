//! The datafds of a handle, by channel.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use knet_channel::{Channel, ChannelMap};
use knet_poller::{Interest, Poller, Token};
use parking_lot::{Mutex, RwLock};

use crate::datafds::counters::Counters;
use crate::log::Log;

/// How messages are read from and written to a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Traffic {
    /// A socket that keeps the boundaries of messages.
    Messages,
    /// A stream socket: each read is a message, each message is written whole.
    Stream,
    /// A device: one read or write is one message.
    Device,
}

/// Whether the tx thread reads a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Yes,
    /// What was read last waits for room in a link's socket.
    NotNow,
    /// It reached its end, or failed, or is being removed.
    NoMore,
}

/// One datafd, from being added to being removed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) channel: Channel,
    /// The number under which the application knows it.
    pub(crate) number: RawFd,
    pub(crate) traffic: Traffic,
    /// What the tx thread is told of it by.
    pub(crate) token: Token,
    /// Our end of a pair that we made, or our duplicate of the caller's descriptor.
    fd: OwnedFd,
    /// The application's end of a pair that we made.
    pub(crate) application: Option<Arc<OwnedFd>>,
    reading: Mutex<Reading>,
    /// The rest of a message that a stream took only the beginning of. Only the rx thread uses it.
    rest: Mutex<Vec<u8>>,
}

impl Entry {
    /// `token` is one of [`Datafds::new_token`].
    pub(crate) fn new(
        token: Token,
        channel: Channel,
        number: RawFd,
        traffic: Traffic,
        fd: OwnedFd,
        application: Option<Arc<OwnedFd>>,
    ) -> Self {
        let (reading, rest) = (Mutex::new(Reading::Yes), Mutex::default());
        Self { channel, number, traffic, token, fd, application, reading, rest }
    }

    /// Takes the rest of a message out, to write it without a lock held.
    pub(crate) fn take_rest(&self) -> Vec<u8> {
        std::mem::take(&mut self.rest.lock())
    }

    pub(crate) fn keep_rest(&self, rest: Vec<u8>) {
        *self.rest.lock() = rest;
    }

    /// Whether it reached its end or failed, and waits for being removed.
    pub(crate) fn is_disabled(&self) -> bool {
        *self.reading.lock() == Reading::NoMore
    }

    /// Stops reading it for ever.
    pub(crate) fn disable(&self, poller: &Poller) {
        let mut reading = self.reading.lock();
        if mem::replace(&mut *reading, Reading::NoMore) == Reading::Yes {
            // Gone already if the kernel has dropped it by itself.
            let _ = poller.remove(self);
        }
    }

    /// Stops reading it for now.
    pub(crate) fn pause(&self, poller: &Poller) {
        let mut reading = self.reading.lock();
        if *reading == Reading::Yes {
            // Taken out, because an end of file would be reported whatever is asked for.
            *reading = Reading::NotNow;
            let _ = poller.remove(self);
        }
    }

    /// Reads it again, unless it is disabled. It is if the poller does not take it, for the errno that
    /// this gives back.
    pub(crate) fn resume(&self, poller: &Poller) -> Result<(), i32> {
        let mut reading = self.reading.lock();
        if *reading != Reading::NotNow {
            return Ok(());
        }
        let added = poller.add(self, self.token, Interest::READ);
        *reading = if added.is_ok() { Reading::Yes } else { Reading::NoMore };
        added.map_err(|error| error.errno())
    }
}

impl AsFd for Entry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// All datafds of a handle. Locked for look-ups only, never across a system call.
#[derive(Debug)]
pub(crate) struct Datafds {
    log: Log,
    entries: RwLock<ChannelMap<Arc<Entry>>>,
    /// Held while a datafd is added or removed, so that a channel that was found free stays free.
    pub(super) adding: Mutex<()>,
    /// How many tokens were given out.
    tokens: AtomicU64,
    counters: [Counters; Channel::COUNT],
}

impl Datafds {
    pub(crate) fn new(log: Log) -> Self {
        Self {
            log,
            entries: RwLock::default(),
            adding: Mutex::default(),
            tokens: AtomicU64::new(0),
            counters: Default::default(),
        }
    }

    /// Returns the log of their handle.
    pub(crate) fn log(&self) -> Log {
        self.log
    }

    /// The datafd of a channel. Do not keep it longer than one system call takes.
    pub(crate) fn get(&self, channel: Channel) -> Option<Arc<Entry>> {
        self.entries.read().get(channel).cloned()
    }

    /// A token that no other datafd of the channel had before.
    pub(crate) fn new_token(&self, channel: Channel) -> Token {
        let number = self.tokens.fetch_add(1, Relaxed);
        Token(number * Channel::COUNT as u64 + channel.index() as u64)
    }

    /// The datafd with this token, unless it has been removed: its successor is another.
    pub(crate) fn by_token(&self, token: Token) -> Option<Arc<Entry>> {
        let index = token.0 % Channel::COUNT as u64;
        let channel = u8::try_from(index).ok().and_then(|n| Channel::try_from(n).ok())?;
        self.get(channel).filter(|entry| entry.token == token)
    }

    /// The datafd with this number.
    pub(crate) fn by_number(&self, number: RawFd) -> Option<Arc<Entry>> {
        self.entries.read().values().find(|entry| entry.number == number).cloned()
    }

    /// The channels in use with their datafds' numbers.
    pub(crate) fn list(&self) -> Vec<(Channel, RawFd)> {
        self.entries.read().iter().map(|(channel, entry)| (channel, entry.number)).collect()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.entries.write().insert(entry.channel, entry);
    }

    pub(crate) fn take(&self, number: RawFd) -> Option<Arc<Entry>> {
        let mut entries = self.entries.write();
        let channel = entries.iter().find(|(_, entry)| entry.number == number)?.0;
        entries.remove(channel)
    }

    pub(crate) fn counters(&self, channel: Channel) -> &Counters {
        // A channel is always below COUNT, which is the array's length.
        &self.counters[channel.index()]
    }
}
