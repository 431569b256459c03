//! Exchanges messages with the other `knet check` processes over a channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, Error, Handle, HostId, MAX_MESSAGE,
    Verdict,
};

use crate::check::args::{CheckArgs, Exchange};

/// The handle with the channel for messages to and from other checks.
pub(crate) struct ReportChannel {
    pub(crate) handle: Handle,
    pub(crate) datafd: Datafd,
    channel: Channel,
    /// The destination of the message that is being sent.
    destination: Arc<AtomicU16>,
    buffer: Vec<u8>,
}

impl ReportChannel {
    /// Creates the handle and opens the channel.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn open(args: &CheckArgs) -> Result<Self, Error> {
        let handle = Handle::new(args.id)?;
        // Datafd events need a subscriber. Lost messages do not matter, because all are repeated.
        handle.on_datafd_event(|_, _| {});
        let datafd =
            handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(args.channel))?;
        let destination = Arc::new(AtomicU16::new(0));
        let to = destination.clone();
        handle.set_filter(move |message| match message.direction() {
            Direction::Rx => Verdict::Broadcast,
            Direction::Tx => {
                message.add_destination(HostId::new(to.load(Ordering::Relaxed)));
                Verdict::Destinations
            }
        })?;
        handle.set_forwarding(args.exchange != Exchange::Never)?;
        let buffer = vec![0; MAX_MESSAGE];
        Ok(Self { handle, datafd, channel: args.channel, destination, buffer })
    }

    /// Sends a message to one host. Ignores that the host is not reachable, because all messages are
    /// repeated.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn send(&self, to: HostId, message: &[u8]) -> Result<(), Error> {
        if !self.handle.forwarding() {
            // `--exchange never`.
            return Ok(());
        }
        // Relaxed is enough: the filter runs inside `send`, on this thread.
        self.destination.store(to.get(), Ordering::Relaxed);
        match self.handle.send(self.channel, message) {
            Ok(_) | Err(Error::NoReachableHost { .. } | Error::NotSent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns a received message, or `None` without blocking.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.handle.recv(self.channel, &mut self.buffer) {
            Ok(length) => Ok(Some(self.buffer[..length].to_vec())),
            Err(Error::WouldBlock(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
