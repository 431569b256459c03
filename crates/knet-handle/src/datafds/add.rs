//! Adding and removing datafds: which descriptors are accepted, and how a failure leaves nothing behind.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use knet_channel::{AllocateError, Channel, ChannelAllocator, ChannelRequest};
use knet_fd::{AccessMode, FdKind, PairType, SocketDomain, SocketPair, SocketState, SocketType};
use knet_poller::{AddError, Interest, Poller};

use crate::datafd_key::DatafdKey;
use crate::datafds::source::DatafdSource;
use crate::datafds::table::{Datafds, Entry, Origin, Traffic};
use crate::error::Error;
use crate::log::log;
use crate::operation::Operation;

/// The requested size of the buffers of a created pair, in bytes (`KNET_RING_RCVBUFF`).
const PAIR_BUFFER: usize = 8_388_608;

impl Datafds {
    /// Adds a datafd, which `tx` then polls. Returns it with the descriptor of the application: its end of
    /// a created pair, or a duplicate of the one that it brought. An error leaves everything as before.
    pub(crate) fn add(
        &self,
        source: DatafdSource<'_>,
        request: ChannelRequest,
        tx: &Poller,
    ) -> Result<(Arc<Entry>, Arc<OwnedFd>), Error> {
        let _adding = self.adding.lock();
        match source {
            DatafdSource::Create => {
                let channel = self.choose_channel(request)?;
                self.create(channel, tx)
            }
            DatafdSource::Fd(fd) => self.bring(Brought::Lent(fd), request, tx),
            DatafdSource::Owned(fd) => self.bring(Brought::Given(fd), request, tx),
        }
    }

    /// Removes a datafd. Once this returns, everything that the handle held of it is closed.
    pub(crate) fn remove(&self, key: DatafdKey<'_>, tx: &Poller, rx: &Poller) -> Result<(), Error> {
        let _adding = self.adding.lock();
        let entry = self.find(key)?;
        // Nobody else can have taken it since: that needs the lock.
        self.take(&entry);
        let (datafd, channel) = (entry.number, entry.channel);
        entry.retire(tx);
        // It is watched for writing only while the rest of a message waits.
        let _ = rx.remove(&*entry.wait_until_released(self.log()));
        log!(info, self.log(), Datafd, datafd, %channel, "datafd removed");
        Ok(())
    }

    fn choose_channel(&self, request: ChannelRequest) -> Result<Channel, Error> {
        let mut allocator = ChannelAllocator::new();
        for entry in self.list() {
            // Channels of the table are distinct, so each is free in a new allocator.
            let _ = allocator.allocate(ChannelRequest::Exact(entry.channel));
        }
        allocator.allocate(request).map_err(|error| match error {
            AllocateError::InUse(channel) => Error::ChannelInUse(channel),
            _ => Error::NoChannelFree,
        })
    }

    fn create(&self, channel: Channel, tx: &Poller) -> Result<(Arc<Entry>, Arc<OwnedFd>), Error> {
        let pair = SocketPair::new(PairType::SeqPacket, PAIR_BUFFER)
            .map_err(|error| Error::os(Operation::CreateDatafd, error.errno(), error))?;
        if !pair.buffers.is_full() {
            log!(
                warn,
                self.log(),
                Datafd,
                wanted = pair.buffers.wanted,
                receive = pair.buffers.receive,
                send = pair.buffers.send,
                "the kernel gave a datafd smaller buffers than requested: raise net.core.rmem_max \
                 and net.core.wmem_max"
            );
        }
        let application = Arc::new(self.numbered(pair.left)?);
        let number = application.as_raw_fd();
        let (token, origin) = (self.new_token(channel), Origin::Created(application.clone()));
        let entry = Entry::new(token, channel, number, Traffic::Messages, pair.right, origin);
        let entry = Arc::new(entry);
        self.install(&entry, tx)?;
        Ok((entry, application))
    }

    /// Returns the same descriptor under a number that no datafd has. An application that closes a
    /// descriptor before it removes the datafd frees the number, which the kernel may then give to this
    /// descriptor while it still identifies that datafd. Nor is 0 returned, which requests a pair where
    /// datafds are plain numbers.
    fn numbered(&self, fd: OwnedFd) -> Result<OwnedFd, Error> {
        let number = fd.as_raw_fd();
        if number != 0 && self.list().iter().all(|entry| entry.number != number) {
            return Ok(fd);
        }
        // The duplicate gets another number: `fd` is open until this returns.
        self.numbered(duplicate(fd.as_fd())?)
    }

    fn bring(
        &self,
        brought: Brought<'_>,
        request: ChannelRequest,
        tx: &Poller,
    ) -> Result<(Arc<Entry>, Arc<OwnedFd>), Error> {
        let fd = brought.as_fd();
        let number = fd.as_raw_fd();
        if let Some(entry) = self.by_file(fd) {
            return Err(Error::DatafdExists { fd: number, channel: entry.channel });
        }
        let channel = self.choose_channel(request)?;
        let traffic = judge(fd, number)?;
        let application = Arc::new(duplicate(fd)?);
        let (watched, origin, lent) = match brought {
            Brought::Lent(fd) => (duplicate(fd)?, Origin::Lent, Some(fd)),
            Brought::Given(fd) => (fd, Origin::Given, None),
        };
        let token = self.new_token(channel);
        let entry = Arc::new(Entry::new(token, channel, number, traffic, watched, origin));
        let flags = Flags::set(lent.unwrap_or(entry.as_fd()))?;
        self.install(&entry, tx)?;
        flags.keep();
        Ok((entry, application))
    }

    /// Adds a datafd to the poller and the table.
    fn install(&self, entry: &Arc<Entry>, tx: &Poller) -> Result<(), Error> {
        // Into the table first: knet-tx looks the channel up when the first event arrives.
        self.insert(entry.clone());
        let Err(error) = tx.add(&**entry, entry.token, Interest::READ) else {
            return Ok(());
        };
        self.take(entry);
        Err(match error {
            AddError::NotPollable { .. } => {
                let kind = FdKind::of(&**entry).unwrap_or(FdKind::CharacterDevice);
                Error::NotPollable { fd: entry.number, kind }
            }
            error => Error::os(Operation::WatchDatafd, error.errno(), error),
        })
    }
}

/// A descriptor that the application brought.
enum Brought<'a> {
    /// It stays the application's.
    Lent(BorrowedFd<'a>),
    Given(OwnedFd),
}

impl AsFd for Brought<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Lent(fd) => *fd,
            Self::Given(fd) => fd.as_fd(),
        }
    }
}

impl Entry {
    /// Returns the descriptor of the application, like [`Datafds::add`].
    pub(crate) fn descriptor(&self) -> Result<Arc<OwnedFd>, Error> {
        match self.created() {
            Some(application) => Ok(application.clone()),
            None => Ok(Arc::new(duplicate(self.as_fd())?)),
        }
    }
}

/// Determines how messages go through a descriptor, or why it cannot be a datafd (`docs/datafd.md`,
/// "Rules", 4 and 8).
fn judge(fd: BorrowedFd<'_>, number: RawFd) -> Result<Traffic, Error> {
    let kind = FdKind::of(fd)
        .map_err(|error| Error::os(Operation::InspectDatafd, error.errno(), error))?;
    let mode = AccessMode::of(fd)
        .map_err(|error| Error::os(Operation::InspectDatafd, error.errno(), error))?;
    let traffic = match kind {
        FdKind::RegularFile | FdKind::Directory => {
            return Err(Error::NotPollable { fd: number, kind });
        }
        FdKind::CharacterDevice => Traffic::Device,
        FdKind::Socket { domain, kind: socket, state } => {
            // A packet socket has no peer to be connected to.
            let connected = state == SocketState::Connected
                || matches!(domain, SocketDomain::Other(_)) && state != SocketState::Listening;
            if !connected {
                return Err(Error::UnsupportedDatafd { fd: number, kind });
            }
            if socket == SocketType::Stream { Traffic::Stream } else { Traffic::Messages }
        }
        _ => {
            if mode != AccessMode::ReadWrite {
                return Err(Error::NotReadWrite { fd: number, mode });
            }
            return Err(Error::UnsupportedDatafd { fd: number, kind });
        }
    };
    if mode != AccessMode::ReadWrite {
        return Err(Error::NotReadWrite { fd: number, mode });
    }
    Ok(traffic)
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    knet_fd::duplicate(fd)
        .map_err(|error| Error::os(Operation::DuplicateDatafd, error.errno(), error))
}

/// The flags of the application's descriptor, restored when this is dropped, unless they are to be kept.
struct Flags<'a> {
    fd: BorrowedFd<'a>,
    was_nonblocking: bool,
    was_cloexec: bool,
    keep: bool,
}

impl<'a> Flags<'a> {
    fn set(fd: BorrowedFd<'a>) -> Result<Self, Error> {
        let failed =
            |error: knet_fd::FlagError| Error::os(Operation::SetDatafdFlags, error.errno(), error);
        let was_nonblocking = knet_fd::set_nonblocking(fd, true).map_err(failed)?;
        let mut flags = Self { fd, was_nonblocking, was_cloexec: true, keep: false };
        flags.was_cloexec = knet_fd::set_cloexec(fd, true).map_err(failed)?;
        Ok(flags)
    }

    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Flags<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // Setting a flag worked a moment ago, and an error could not be reported.
            let _ = knet_fd::set_nonblocking(self.fd, self.was_nonblocking);
            let _ = knet_fd::set_cloexec(self.fd, self.was_cloexec);
        }
    }
}
