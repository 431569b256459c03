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

/// Whether knet-tx reads a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Yes,
    /// The messages that were read last wait for room in a link's socket.
    NotNow,
    /// The datafd reached its end, or failed, or is being removed.
    NoMore,
}

/// A datafd, from the time it is added until it is removed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) channel: Channel,
    /// The number under which the application knows it.
    pub(crate) number: RawFd,
    pub(crate) traffic: Traffic,
    /// The token under which the poller of knet-tx reports it.
    pub(crate) token: Token,
    /// The handle's end of a pair that it created, or its duplicate of the caller's descriptor.
    fd: OwnedFd,
    /// The application's end of a pair that the handle created.
    pub(crate) application: Option<Arc<OwnedFd>>,
    reading: Mutex<Reading>,
    /// The rest of a message that a stream took only the beginning of. Only knet-rx uses it.
    rest: Mutex<Vec<u8>>,
}

impl Entry {
    /// Creates the entry of a datafd. `token` comes from [`Datafds::new_token`].
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

    /// Takes out the rest of a message, to write it without holding the lock.
    pub(crate) fn take_rest(&self) -> Vec<u8> {
        std::mem::take(&mut self.rest.lock())
    }

    pub(crate) fn keep_rest(&self, rest: Vec<u8>) {
        *self.rest.lock() = rest;
    }

    /// Returns `true` if the datafd reached its end or failed, and is to be removed.
    pub(crate) fn is_disabled(&self) -> bool {
        *self.reading.lock() == Reading::NoMore
    }

    /// Stops reading the datafd for good.
    pub(crate) fn disable(&self, poller: &Poller) {
        let mut reading = self.reading.lock();
        if mem::replace(&mut *reading, Reading::NoMore) == Reading::Yes {
            // This fails if the kernel has removed it from the poller by itself.
            let _ = poller.remove(self);
        }
    }

    /// Stops reading the datafd until [`Entry::resume`].
    pub(crate) fn pause(&self, poller: &Poller) {
        let mut reading = self.reading.lock();
        if *reading == Reading::Yes {
            // Removed from the poller, which would report an end of file whatever the interest is.
            *reading = Reading::NotNow;
            let _ = poller.remove(self);
        }
    }

    /// Resumes reading the datafd, unless it is disabled.
    ///
    /// # Errors
    /// The errno if the poller does not accept it. The datafd is then disabled.
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

/// All datafds of a handle. They are locked for look-ups only, never across a system call.
#[derive(Debug)]
pub(crate) struct Datafds {
    log: Log,
    entries: RwLock<ChannelMap<Arc<Entry>>>,
    /// Held while a datafd is added or removed, so that a channel that was found free stays free.
    pub(super) adding: Mutex<()>,
    /// How many tokens were handed out.
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

    /// Returns the datafd of a channel. Do not hold it longer than one system call takes.
    pub(crate) fn get(&self, channel: Channel) -> Option<Arc<Entry>> {
        self.entries.read().get(channel).cloned()
    }

    /// Returns a token that no datafd of the channel had before.
    pub(crate) fn new_token(&self, channel: Channel) -> Token {
        let number = self.tokens.fetch_add(1, Relaxed);
        Token(number * Channel::COUNT as u64 + channel.index() as u64)
    }

    /// Returns the datafd with this token, or `None` if it was removed. Its successor has another token.
    pub(crate) fn by_token(&self, token: Token) -> Option<Arc<Entry>> {
        let index = token.0 % Channel::COUNT as u64;
        let channel = u8::try_from(index).ok().and_then(|n| Channel::try_from(n).ok())?;
        self.get(channel).filter(|entry| entry.token == token)
    }

    /// Returns the datafd with this number.
    pub(crate) fn by_number(&self, number: RawFd) -> Option<Arc<Entry>> {
        self.entries.read().values().find(|entry| entry.number == number).cloned()
    }

    /// Returns the channels in use, with the numbers of their datafds.
    pub(crate) fn list(&self) -> Vec<(Channel, RawFd)> {
        self.entries.read().iter().map(|(channel, entry)| (channel, entry.number)).collect()
    }

    /// Adds a datafd to the table.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.entries.write().insert(entry.channel, entry);
    }

    /// Removes the datafd with this number from the table and returns it.
    pub(crate) fn take(&self, number: RawFd) -> Option<Arc<Entry>> {
        let mut entries = self.entries.write();
        let channel = entries.iter().find(|(_, entry)| entry.number == number)?.0;
        entries.remove(channel)
    }

    pub(crate) fn counters(&self, channel: Channel) -> &Counters {
        // An index of a channel is below COUNT, the length of the array.
        &self.counters[channel.index()]
    }
}
