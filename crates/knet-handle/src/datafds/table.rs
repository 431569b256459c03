//! The datafds of a handle, by channel.

use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrayvec::ArrayVec;
use knet_channel::{Channel, ChannelMap};
use knet_fd::{FileCalls, FileComparison};
use knet_poller::{Interest, Poller, Token};
use parking_lot::{Mutex, RwLock};

use crate::datafd_key::{DatafdId, DatafdKey};
use crate::datafds::counters::Counters;
use crate::datafds::read_error::has_no_connection;
use crate::error::Error;
use crate::log::{Log, log};
use crate::operation::Operation;
use crate::release::{Release, wait_until_released};

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

/// Who opened the descriptor of a datafd.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The handle: this is the application's end of a pair.
    Created(Arc<OwnedFd>),
    /// The application, which keeps its own.
    Lent,
    /// The application, which gave it away.
    Given,
}

/// Whether knet-tx reads a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Yes,
    /// The messages that were read last wait for room in a link's socket.
    NotNow,
    /// The datafd reached its end, or failed.
    Disabled,
    /// It was removed.
    Removed,
}

/// A datafd, from the time it is added until it is removed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) channel: Channel,
    /// The number under which the application knows it. Another datafd, or another file of the
    /// application, may have the same if the application closed its own.
    pub(crate) number: RawFd,
    pub(crate) traffic: Traffic,
    /// The token under which the poller of knet-tx reports it.
    pub(crate) token: Token,
    /// The handle's end of a pair that it created, its duplicate of the caller's descriptor, or the one that
    /// it was given.
    fd: Arc<OwnedFd>,
    pub(crate) origin: Origin,
    /// The reads and writes that a device has.
    pub(crate) calls: FileCalls,
    /// Whether the kernel reports it as readable because of messages that it then discards, which anybody on
    /// the network can send: those with a wrong checksum.
    pub(crate) discards: bool,
    reading: Mutex<Reading>,
    /// The rest of a message that a stream took only the beginning of. Only knet-rx uses it.
    rest: Mutex<Vec<u8>>,
    release: Release,
}

impl Entry {
    /// Creates the entry of a datafd. `token` comes from [`Datafds::new_token`].
    pub(crate) fn new(
        token: Token,
        channel: Channel,
        number: RawFd,
        traffic: Traffic,
        fd: OwnedFd,
        origin: Origin,
    ) -> Self {
        let (reading, rest) = (Mutex::new(Reading::Yes), Mutex::default());
        let (calls, discards) = (FileCalls::new(), has_no_connection(&fd));
        let (fd, release) = (Arc::new(fd), Release::default());
        Self {
            channel,
            number,
            traffic,
            token,
            fd,
            origin,
            calls,
            discards,
            reading,
            rest,
            release,
        }
    }

    /// Waits until no other thread holds the datafd, which is out of its table, or for a second. Returns its
    /// descriptor, to be closed.
    pub(crate) fn wait_until_released(self: Arc<Self>, log: Log) -> Arc<OwnedFd> {
        let (fd, channel) = (self.fd.clone(), self.channel);
        if !wait_until_released(self, |entry| &entry.release) {
            log!(debug, log, Datafd, %channel, "a thread still holds a datafd that is removed");
        }
        fd
    }

    pub(crate) fn id(&self) -> DatafdId {
        DatafdId { token: self.token, number: self.number }
    }

    /// Returns the application's end of a pair that the handle created.
    pub(crate) fn created(&self) -> Option<&Arc<OwnedFd>> {
        if let Origin::Created(application) = &self.origin { Some(application) } else { None }
    }

    /// Returns `true` if a descriptor refers to the open file that the application knows as this datafd.
    pub(crate) fn is_open_as(&self, fd: BorrowedFd<'_>) -> bool {
        let own = self.created().map_or(self.as_fd(), |application| application.as_fd());
        // Comparing two open descriptors does not fail.
        match knet_fd::compare_files(own, fd) {
            Ok(FileComparison::Same) => true,
            // Two descriptors of a device, where the kernel does not say more: the number decides.
            Ok(FileComparison::Undecided) => fd.as_raw_fd() == self.number,
            Ok(FileComparison::Different) | Err(_) => false,
        }
    }

    /// Returns `true` if the file that the application knows as this datafd is open under its number.
    fn is_open_under_its_number(&self) -> bool {
        match self.created() {
            Some(application) => knet_fd::is_open_as(application, self.number),
            None => knet_fd::is_open_as(self, self.number),
        }
    }

    /// Takes out the rest of a message, to write it without holding the lock.
    pub(crate) fn take_rest(&self) -> Vec<u8> {
        std::mem::take(&mut self.rest.lock())
    }

    pub(crate) fn keep_rest(&self, rest: Vec<u8>) {
        *self.rest.lock() = rest;
    }

    /// Returns how many bytes of a message a stream has not taken yet.
    pub(crate) fn rest_len(&self) -> usize {
        self.rest.lock().len()
    }

    /// Returns `true` if the datafd reached its end or failed.
    pub(crate) fn is_disabled(&self) -> bool {
        *self.reading.lock() == Reading::Disabled
    }

    /// Stops reading the datafd, which reached its end or failed, until [`Entry::resume`].
    pub(crate) fn disable(&self, poller: &Poller) {
        self.stop_reading(poller, Reading::Disabled);
    }

    /// Stops reading the datafd for good, because it is being removed.
    pub(crate) fn retire(&self, poller: &Poller) {
        self.stop_reading(poller, Reading::Removed);
    }

    fn stop_reading(&self, poller: &Poller, then: Reading) {
        let mut reading = self.reading.lock();
        if *reading == Reading::Removed {
            return;
        }
        if mem::replace(&mut *reading, then) == Reading::Yes {
            // This fails if the kernel has removed it from the poller by itself.
            let _ = poller.remove(self);
        }
    }

    /// Reads the datafd again after [`Entry::disable`].
    pub(crate) fn resume(&self, poller: &Poller) -> Result<(), Error> {
        let mut reading = self.reading.lock();
        match *reading {
            Reading::Yes | Reading::NotNow => Ok(()),
            Reading::Removed => Err(Error::UnknownDatafd { fd: self.number }),
            Reading::Disabled => {
                poller
                    .add(self, self.token, Interest::READ)
                    .map_err(|error| Error::os(Operation::WatchDatafd, error.errno(), error))?;
                *reading = Reading::Yes;
                Ok(())
            }
        }
    }

    /// Stops reading the datafd until [`Entry::unpause`].
    pub(crate) fn pause(&self, poller: &Poller) {
        let mut reading = self.reading.lock();
        if *reading == Reading::Yes {
            // Removed from the poller, which would report an end of file whatever the interest is.
            *reading = Reading::NotNow;
            let _ = poller.remove(self);
        }
    }

    /// Reads the datafd again after [`Entry::pause`], unless it is disabled.
    ///
    /// # Errors
    /// The errno if the poller does not accept it. The datafd is then disabled.
    pub(crate) fn unpause(&self, poller: &Poller) -> Result<(), i32> {
        let mut reading = self.reading.lock();
        if *reading != Reading::NotNow {
            return Ok(());
        }
        let added = poller.add(self, self.token, Interest::READ);
        *reading = if added.is_ok() { Reading::Yes } else { Reading::Disabled };
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

    /// Returns the datafd that a key names.
    pub(crate) fn find(&self, key: DatafdKey<'_>) -> Result<Arc<Entry>, Error> {
        let (found, fd) = match key {
            DatafdKey::Id(id) => (self.by_token(id.token), id.number),
            DatafdKey::Fd(fd) => (self.by_file(fd), fd.as_raw_fd()),
            DatafdKey::Number(number) => (self.by_number(number)?, number),
        };
        found.ok_or(Error::UnknownDatafd { fd })
    }

    /// Returns the datafd that has the same open file as a descriptor.
    pub(crate) fn by_file(&self, fd: BorrowedFd<'_>) -> Option<Arc<Entry>> {
        self.list().into_iter().find(|entry| entry.is_open_as(fd))
    }

    /// Returns the datafd that was added under a number.
    fn by_number(&self, number: RawFd) -> Result<Option<Arc<Entry>>, Error> {
        let mut candidates = self.list();
        candidates.retain(|entry| entry.number == number);
        if candidates.len() > 1 {
            let open = candidates.iter().find(|entry| entry.is_open_under_its_number()).cloned();
            let channels = || candidates.iter().map(|entry| entry.channel).collect();
            return open
                .map(Some)
                .ok_or_else(|| Error::AmbiguousDatafd { fd: number, channels: channels() });
        }
        Ok(candidates.pop())
    }

    /// Returns the datafds, in ascending order of their channels. Do not hold them longer than a few system
    /// calls take.
    pub(crate) fn list(&self) -> ArrayVec<Arc<Entry>, { Channel::COUNT }> {
        self.entries.read().values().cloned().collect()
    }

    /// Adds a datafd to the table.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.entries.write().insert(entry.channel, entry);
    }

    /// Removes a datafd from the table. Returns `false` if it is not in it.
    pub(crate) fn take(&self, entry: &Entry) -> bool {
        let mut entries = self.entries.write();
        let is_there = entries.get(entry.channel).is_some_and(|there| there.token == entry.token);
        if is_there {
            entries.remove(entry.channel);
        }
        is_there
    }

    pub(crate) fn counters(&self, channel: Channel) -> &Counters {
        // An index of a channel is below COUNT, the length of the array.
        &self.counters[channel.index()]
    }
}
