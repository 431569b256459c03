//! The handle: what an application holds.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use knet_channel::{Channel, ChannelRequest};
use knet_engine::{DropStats, Engine, EngineConfig};
use knet_poller::Token;
use knet_transport::QosMarking;
use knet_wire::HostId;

use crate::api::audience::Audiences;
use crate::api::builder::HandleBuilder;
use crate::api::datafd::{Datafd, DatafdState, DatafdStatus};
use crate::api::endpoint::Endpoint;
use crate::api::host::Host;
use crate::api::notify_thread;
use crate::api::recv;
use crate::api::stats::{self, ClearStats, HandleStats};
use crate::core::settings::Settings;
use crate::core::shared::Shared;
use crate::core::threads::{self, Threads};
use crate::datafds::counters::ChannelStats;
use crate::datafds::source::DatafdSource;
use crate::error::Error;
use crate::filter::{FilterMessage, Verdict};
use crate::send_report::SendReport;
use crate::tx::pool::TransmitterPool;
use crate::{rx, tx};

/// A host's place in the cluster: its datafds on one side, its links to the other hosts on the
/// other. See the crate's documentation for an example.
///
/// Cloning is cheap, and every clone may be used from any thread. When the last clone goes away
/// (a [`Host`], a [`Link`](crate::Link), a [`Datafd`] or an [`Endpoint`] counts as one), the threads
/// stop and everything that the handle opened is closed; while a callback runs that happens when it
/// returns, and [`Handle::close`] waits for it. To use the handle from a callback take
/// the one that is passed in: a callback that owns a clone keeps the handle alive for ever.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

/// What goes away with the last clone.
struct Inner {
    shared: Arc<Shared>,
    audiences: Audiences,
    /// For the threads that call [`Handle::send`].
    transmitters: TransmitterPool,
    threads: Vec<JoinHandle<()>>,
}

/// A handle that does not keep itself open.
pub(crate) struct WeakHandle(Weak<Inner>);

impl WeakHandle {
    /// Returns the handle, unless its last clone is gone.
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        Some(Handle { inner: self.0.upgrade()? })
    }
}

impl Handle {
    /// Makes a handle for the host with this id.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses descriptors or threads.
    pub fn new(host: HostId) -> Result<Self, Error> {
        Self::builder(host).build()
    }

    /// A handle that can be adjusted before it is made.
    #[must_use]
    pub fn builder(host: HostId) -> HandleBuilder {
        HandleBuilder::new(host)
    }

    pub(crate) fn start(config: &EngineConfig, settings: &Settings) -> Result<Self, Error> {
        let engine = Engine::new(std::time::Instant::now(), config);
        let shared = Arc::new(Shared::new(engine, settings)?);
        let mut threads = Threads::new(shared.clone());
        let data = shared.clone();
        threads.start("knet-tx", move || tx::thread::run(&data))?;
        let data = shared.clone();
        threads.start("knet-rx", move || rx::thread::run(&data))?;
        // The notify thread hands out the handle, so it has to wait until there is one.
        let (send, receive) = crossbeam_channel::bounded::<(Arc<Shared>, WeakHandle)>(1);
        threads.start("knet-notify", move || {
            if let Ok((shared, handle)) = receive.recv() {
                notify_thread::run(&shared, &handle);
            }
        })?;
        let inner = Arc::new(Inner::new(shared.clone(), threads));
        // The thread waits for just this.
        let _ = send.send((shared, WeakHandle(Arc::downgrade(&inner))));
        Ok(Self { inner })
    }

    /// Our own host id.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.shared().own
    }

    /// Adds a host. Our own id may be added too, for links to ourselves.
    ///
    /// # Errors
    /// [`Error::Host`] with `Exists`; [`Error::InsideFilter`].
    pub fn add_host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().configure(|engine, _| engine.add_host(host))??;
        Ok(Host::new(self.clone(), host))
    }

    /// A host that was added.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().query(|engine, _| engine.host_status(host))?;
        Ok(Host::new(self.clone(), host))
    }

    /// The host of that name, which is its id in decimal unless it was given another.
    ///
    /// # Errors
    /// [`Error::Host`] with `NoSuchName`.
    pub fn host_by_name(&self, name: &str) -> Result<Host, Error> {
        let host = self.shared().query(|engine, _| engine.host_by_name(name))?;
        Ok(Host::new(self.clone(), host))
    }

    /// The hosts that were added, in ascending order.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        self.shared().query(|engine, _| engine.hosts().collect())
    }

    /// Removes a host that has no links.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown` or `HasLinks`; [`Error::InsideFilter`].
    pub fn remove_host(&self, host: HostId) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, _| engine.remove_host(host))??)
    }

    /// Opens a UDP socket for links, before the first link that uses it: with port 0 the kernel
    /// picks one, another one for each call, which [`Endpoint::addr`] tells, so that the other host
    /// can be told where we are. Links with that address share the socket.
    ///
    /// # Errors
    /// [`Error::Bind`]; [`Error::InsideFilter`].
    pub fn bind(&self, local: SocketAddr) -> Result<Endpoint, Error> {
        Endpoint::new(self.clone(), local)
    }

    /// Lets messages through or stops them. Off at first.
    ///
    /// Switching off first sends what was written to the datafds before the call, and delivers what
    /// has arrived at our sockets; messages that come later are dropped. Links go on being watched.
    ///
    /// A slow filter is waited for while that is done, but no longer than a second when sending and
    /// another when delivering. What it was not asked about by then is dropped and counted
    /// ([`ChannelStats::tx_forwarding_off`], [`ChannelStats::rx_forwarding_off`]); what it is being
    /// asked about just then goes where it says. Links that are full are waited for a second as well.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn set_forwarding(&self, on: bool) -> Result<(), Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if !on && shared.is_forwarding() {
            shared.tx.flush();
            shared.rx.flush();
        }
        shared.forwarding.store(on, Ordering::Release);
        Ok(())
    }

    /// Whether messages are let through.
    #[must_use]
    pub fn forwarding(&self) -> bool {
        self.shared().is_forwarding()
    }

    /// How long the data threads look for more to do at most before they sleep:
    /// [`HandleBuilder::busy_poll`].
    #[must_use]
    pub fn busy_poll(&self) -> Duration {
        self.shared().busy_poll
    }

    /// How long packets wait for room in a full link: [`HandleBuilder::wait_for_room`].
    #[must_use]
    pub fn wait_for_room(&self) -> Duration {
        self.shared().full.patience()
    }

    /// Whether a filter is installed.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.shared().filter().is_some()
    }

    /// Installs the destination filter, in place of the one before. It is asked about every message
    /// sent and received, on the thread that handles it, so it must be quick.
    ///
    /// Inside it every method that changes or sends something fails with [`Error::InsideFilter`].
    /// If it panics, the message is rejected.
    ///
    /// When this returns, the filter before is not asked about any message any more. A call of it
    /// that is running is waited for, but no longer than a second.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn set_filter(
        &self,
        filter: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.shared().outside_filter()?;
        self.shared().set_filter(Some(Arc::new(filter)));
        Ok(())
    }

    /// Removes the filter: every message goes to everybody, and everything received is delivered.
    /// Waits as [`Handle::set_filter`] does.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn remove_filter(&self) -> Result<(), Error> {
        self.shared().outside_filter()?;
        self.shared().set_filter(None);
        Ok(())
    }

    /// Marks the packets of all links for this machine's queues and for the routers on their way
    /// (`knet_handle_setprio_dscp`), but for links with a [`Link::set_marking`](crate::Link::set_marking)
    /// of their own. Not marked at first. Takes effect at once, on links that are there too.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses, for which no cause is known; [`Error::InsideFilter`].
    pub fn set_marking(&self, marking: QosMarking) -> Result<(), Error> {
        self.shared().outside_filter()?;
        Ok(self.shared().sockets.set_marking(marking)?)
    }

    /// How the packets of links without a marking of their own are marked.
    #[must_use]
    pub fn marking(&self) -> QosMarking {
        self.shared().sockets.marking()
    }

    /// Sets by hand how long a whole IP packet may be on every link, in bytes; `None` goes back to
    /// finding it out.
    ///
    /// # Errors
    /// [`Error::Mtu`] if it is too small; [`Error::InsideFilter`].
    pub fn set_manual_mtu(&self, onwire: Option<u16>) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, now| engine.set_manual_mtu(now, onwire))??)
    }

    /// The MTU set by hand, in bytes of a whole IP packet.
    #[must_use]
    pub fn manual_mtu(&self) -> Option<u16> {
        self.shared().query(|engine, _| engine.manual_mtu())
    }

    /// Sets how often the path MTU of each link is searched anew, 1 s to 86400 s. Default 60 s. A
    /// link that comes up is searched at once, and so is one whose packets turn out to be too long.
    ///
    /// # Errors
    /// [`Error::Mtu`] outside that range; [`Error::InsideFilter`].
    pub fn set_mtu_interval(&self, interval: Duration) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, _| engine.set_mtu_interval(interval))??)
    }

    /// How often the path MTU of each link is searched anew.
    #[must_use]
    pub fn mtu_interval(&self) -> Duration {
        self.shared().query(|engine, _| engine.mtu_interval())
    }

    /// Returns how many payload bytes a packet carries on every link in use
    /// (`docs/wire-format.md`, "Length arithmetic").
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.shared().query(|engine, _| engine.data_mtu())
    }

    /// Adds a datafd: what the application writes to it comes out of the other hosts' datafds of
    /// the same channel, and the other way round. See `docs/datafd.md` for the whole contract.
    ///
    /// # Errors
    /// [`Error::SockNotifyRequired`] before [`Handle::datafd_events`] or
    /// [`Handle::on_datafd_event`]; [`Error::ChannelInUse`]; [`Error::NoChannelFree`];
    /// [`Error::DatafdExists`]; [`Error::NegativeDatafd`]; [`Error::DatafdNotOpen`];
    /// [`Error::NotPollable`]; [`Error::OneWayDatafd`]; [`Error::UnsuitableDatafd`];
    /// [`Error::InsideFilter`]; [`Error::Os`]. After any of them everything is as it was.
    pub fn add_datafd(
        &self,
        source: DatafdSource<'_>,
        request: ChannelRequest,
    ) -> Result<Datafd, Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if !self.audiences().datafd.was_asked() {
            return Err(Error::SockNotifyRequired);
        }
        let (entry, fd) = shared.datafds.add(source, request, &shared.tx.poller)?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// Removes a datafd, named by its [`Datafd`], by the caller's descriptor or by its number. What
    /// was written to it and not read yet is lost; a descriptor that the caller brought stays open
    /// with its flags as they are: it is borrowed here, so that nobody can close it by naming it.
    /// Works on a datafd that failed, and from any notification.
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`]; [`Error::InsideFilter`].
    pub fn remove_datafd(&self, datafd: &impl AsRawFd) -> Result<(), Error> {
        self.take_datafd(datafd.as_raw_fd(), None)
    }

    /// Removes a datafd; if a token is given, only the one that has it.
    pub(crate) fn take_datafd(&self, number: RawFd, token: Option<Token>) -> Result<(), Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        shared.datafds.remove(number, token, &shared.tx.poller, &shared.rx.poller)
    }

    /// The datafd of a channel.
    ///
    /// # Errors
    /// [`Error::ChannelNotInUse`]; [`Error::Os`] if a descriptor that the caller brought cannot be
    /// duplicated.
    pub fn get_datafd(&self, channel: Channel) -> Result<Datafd, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        let fd = entry.descriptor()?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// The channel of a datafd, named as in [`Handle::remove_datafd`].
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`].
    pub fn get_channel(&self, datafd: &impl AsRawFd) -> Result<Channel, Error> {
        let fd = datafd.as_raw_fd();
        let entry = self.shared().datafds.by_number(fd).ok_or(Error::UnknownDatafd { fd })?;
        Ok(entry.channel)
    }

    /// What is known of the datafd of a channel.
    ///
    /// # Errors
    /// [`Error::ChannelNotInUse`].
    pub fn datafd_status(&self, channel: Channel) -> Result<DatafdStatus, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        let state = if entry.is_disabled() { DatafdState::Disabled } else { DatafdState::Active };
        Ok(DatafdStatus {
            channel,
            number: entry.number,
            created: entry.application.is_some(),
            state,
        })
    }

    /// The channels that have a datafd, in ascending order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.shared().datafds.list().into_iter().map(|(channel, _)| channel).collect()
    }

    /// What happened to the messages of a channel, whether it has a datafd or not.
    #[must_use]
    pub fn channel_stats(&self, channel: Channel) -> ChannelStats {
        self.shared().datafds.counters(channel).read()
    }

    /// How many packets were thrown away, by reason.
    #[must_use]
    pub fn drop_stats(&self) -> DropStats {
        self.shared().query(|engine, _| engine.drops())
    }

    /// What is counted of the handle, its hosts, links and channels added up.
    #[must_use]
    pub fn stats(&self) -> HandleStats {
        stats::read(self.shared())
    }

    /// Starts counting anew. What hosts and links are and have measured stays; the least and the most
    /// latency begin with the next pong.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn clear_stats(&self, what: ClearStats) -> Result<(), Error> {
        stats::clear(self.shared(), what)
    }

    /// Sends a message of 1 to 65536 bytes to the other hosts: through the filter and over the
    /// links, as if it had been written to the channel's datafd, but in the caller's thread, and
    /// with an answer. Returns when the kernel has taken the message's packets.
    ///
    /// # Errors
    /// [`Error::MessageSize`]; [`Error::ChannelNotInUse`]; [`Error::ForwardingOff`];
    /// [`Error::FilterRejected`]; [`Error::FilterNoDestination`]; [`Error::FilterChannel`];
    /// [`Error::HostDown`] if no destination is reachable, and [`Error::Send`] if the kernel did not take
    /// the whole message for any, both with the reason for each; [`Error::InsideFilter`].
    pub fn send(&self, channel: Channel, message: &[u8]) -> Result<SendReport, Error> {
        self.transmit(channel, message, false)
    }

    /// As [`Handle::send`], to exactly one host, which the filter names (`knet_send_sync`).
    ///
    /// # Errors
    /// Those of [`Handle::send`]; [`Error::NoFilter`]; [`Error::NotUnicast`] if the filter named
    /// everybody or more than one.
    pub fn send_sync(&self, channel: Channel, message: &[u8]) -> Result<SendReport, Error> {
        self.transmit(channel, message, true)
    }

    fn transmit(
        &self,
        channel: Channel,
        message: &[u8],
        unicast: bool,
    ) -> Result<SendReport, Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if message.is_empty() || message.len() > knet_wire::MAX_MESSAGE {
            return Err(Error::MessageSize { length: message.len() });
        }
        if unicast && shared.filter().is_none() {
            return Err(Error::NoFilter);
        }
        if shared.datafds.get(channel).is_none() {
            return Err(Error::ChannelNotInUse(channel));
        }
        self.inner.transmitters.with(|out| out.send(shared, channel, message, unicast))
    }

    /// Receives a message that came for a channel whose datafd the handle made, without waiting.
    /// Gives its length in bytes.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if none is there; [`Error::EmptyBuffer`]; [`Error::ChannelNotInUse`];
    /// [`Error::NotOurDatafd`] if the caller brought the datafd; [`Error::BufferTooSmall`] if the
    /// message did not fit, which loses it; [`Error::DatafdClosed`]; [`Error::Os`].
    pub fn recv(&self, channel: Channel, buffer: &mut [u8]) -> Result<usize, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        // Not the entry, which is not to be kept over a system call.
        let application = entry.application.clone();
        drop(entry);
        recv::recv(channel, application, buffer)
    }

    /// Gives up the last clone, and returns when everything that the handle opened is closed and its
    /// threads have ended. Waits for a callback and for calls of the filter that run just now; none is
    /// called after. What was written to the datafds and not sent yet is lost, unless
    /// [`Handle::set_forwarding`] was switched off before.
    ///
    /// # Errors
    /// [`Error::StillInUse`] if there are other clones: this one is gone, the last of the others closes
    /// the handle. [`Error::InsideCallback`], because a callback cannot wait for its own end;
    /// [`Error::InsideFilter`].
    pub fn close(self) -> Result<(), Error> {
        self.shared().outside_filter()?;
        let me = thread::current().id();
        if self.inner.threads.iter().any(|thread| thread.thread().id() == me) {
            return Err(Error::InsideCallback);
        }
        let shared = self.inner.shared.clone();
        // A callback is given a clone, so none may run while the others are counted.
        let last = shared.notices.while_silent(|| Arc::try_unwrap(self.inner));
        drop(shared);
        match last {
            Ok(inner) => {
                drop(inner);
                Ok(())
            }
            Err(inner) => Err(Error::StillInUse { others: Arc::strong_count(&inner) - 1 }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn audiences(&self) -> &Audiences {
        &self.inner.audiences
    }
}

#[cfg(test)]
impl Handle {
    /// A handle without knet-tx, whose part the test plays.
    pub(crate) fn without_tx() -> Self {
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let settings = Settings { busy_poll: Duration::ZERO, wait_for_room: Duration::MAX };
        let engine = Engine::new(std::time::Instant::now(), &config);
        let shared = Arc::new(Shared::new(engine, &settings).unwrap());
        let mut threads = Threads::new(shared.clone());
        let data = shared.clone();
        threads.start("knet-rx", move || rx::thread::run(&data)).unwrap();
        Self { inner: Arc::new(Inner::new(shared, threads)) }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("host", &self.host_id()).finish_non_exhaustive()
    }
}

impl Inner {
    fn new(shared: Arc<Shared>, threads: Threads) -> Self {
        Self {
            shared,
            audiences: Audiences::default(),
            transmitters: TransmitterPool::default(),
            threads: threads.keep(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        threads::stop(&self.shared, &mut self.threads);
    }
}
