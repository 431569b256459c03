//! The handle, from its creation to its end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, mem};

use knet_engine::{Engine, EngineConfig};
use knet_wire::HostId;

use crate::api::audience::Audiences;
use crate::api::builder::HandleBuilder;
use crate::api::handle_config::HandleConfig;
use crate::api::notify_thread;
use crate::core::shared::Shared;
use crate::core::thread::Thread;
use crate::core::threads::{self, Threads};
use crate::error::Error;
use crate::log::log;
use crate::operation::Operation;
use crate::tx::pool::TransmitterPool;
use crate::{rx, tx};

/// A host's place in the cluster: its datafds on one side, its links to the other hosts on the other.
///
/// Cloning is cheap, and every clone may be used from any thread. When the last clone is dropped, the
/// threads stop and everything that the handle opened is closed; if that happens in a callback, it is done
/// when the callback returns. A [`Host`](crate::Host), a [`Link`](crate::Link), a [`Datafd`](crate::Datafd)
/// and a [`LocalSocket`](crate::LocalSocket) count as clones.
///
/// # Forks
///
/// The threads of a handle exist only in the process that created it. In a process that was forked later,
/// calls that would change or send something fail with [`Error::Forked`] and dropping the handle does
/// nothing, so the parent is not disturbed. Other methods may block there and must not be called. A daemon
/// creates its handle after it has forked (`daemon(3)`) and closed inherited descriptors: one that closes
/// the handle's descriptors by number receives and sends nothing.
///
/// # Callbacks
///
/// A callback should use the handle that it is called with: one that owns a clone keeps the handle open.
///
/// # Examples
///
/// ```
/// use knet_handle::{Handle, HostId};
///
/// let handle = Handle::new(HostId::new(1))?;
/// let clone = handle.clone();
/// assert_eq!(clone.host_id(), HostId::new(1));
///
/// drop(clone);
/// handle.close()?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

/// What the last clone owns.
struct Inner {
    shared: Arc<Shared>,
    audiences: Audiences,
    /// For the threads that call [`Handle::send`].
    transmitters: TransmitterPool,
    threads: Vec<Thread>,
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
    /// Creates a handle with the default settings for the host with this id.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
    pub fn new(host: HostId) -> Result<Self, Error> {
        Self::with_config(host, HandleConfig::default())
    }

    /// Returns a builder for a handle with settings.
    #[must_use]
    pub fn builder(host: HostId) -> HandleBuilder {
        HandleBuilder::new(host)
    }

    /// Creates a handle with settings for the host with this id.
    ///
    /// # Errors
    /// - [`Error::Mtu`] if [`manual_mtu`](HandleConfig::manual_mtu) or
    ///   [`mtu_interval`](HandleConfig::mtu_interval) is out of range.
    /// - [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Error, Handle, HandleConfig, HostId};
    ///
    /// let config = HandleConfig { forwarding: true, ..HandleConfig::default() };
    /// assert!(Handle::with_config(HostId::new(1), config)?.forwarding());
    ///
    /// let config = HandleConfig { manual_mtu: Some(100), ..HandleConfig::default() };
    /// assert!(matches!(Handle::with_config(HostId::new(1), config), Err(Error::Mtu(_))));
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn with_config(host: HostId, config: HandleConfig) -> Result<Self, Error> {
        let (now, cookie_key) = (Instant::now(), random_bytes()?);
        let mut engine = Engine::new(now, &EngineConfig { host, cookie_key });
        engine.set_manual_mtu(now, config.manual_mtu)?;
        engine.set_mtu_interval(config.mtu_interval)?;
        engine.set_access_lists(config.access_lists);
        let shared = Arc::new(Shared::new(engine, &config.settings())?);
        shared.sockets.set_marking(config.marking)?;
        shared.forwarding.store(config.forwarding, Ordering::Release);
        let mut threads = Threads::new(shared.clone());
        let data = shared.clone();
        threads.start("knet-tx", move || tx::thread::run(&data))?;
        let data = shared.clone();
        threads.start("knet-rx", move || rx::thread::run(&data))?;
        // The notify thread passes the handle to callbacks, so it has to wait until there is one.
        let (send, receive) = crossbeam_channel::bounded::<(Arc<Shared>, WeakHandle)>(1);
        threads.start("knet-notify", move || {
            if let Ok((shared, handle)) = receive.recv() {
                notify_thread::run(&shared, &handle);
            }
        })?;
        log!(info, shared.log, Handle, ?config, "handle created");
        let inner = Arc::new(Inner::new(shared.clone(), threads));
        // The thread is receiving.
        let _ = send.send((shared, WeakHandle(Arc::downgrade(&inner))));
        Ok(Self { inner })
    }

    /// Returns the own host id.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.shared().own
    }

    /// Returns the longest time for which the data threads busy-poll:
    /// [`HandleConfig::busy_poll`].
    #[must_use]
    pub fn busy_poll(&self) -> Duration {
        self.shared().busy_poll
    }

    /// Returns how long packets wait for room in a link's socket: [`HandleConfig::send_timeout`].
    #[must_use]
    pub fn send_timeout(&self) -> Duration {
        self.shared().backpressure.send_timeout()
    }

    /// Closes the handle, which must be the last clone. Returns once everything that it opened is closed
    /// and its threads have ended.
    ///
    /// Blocks until running calls of callbacks and of the filter return. None is called afterwards.
    /// Messages that were written to the datafds and not sent yet are lost, unless forwarding was [turned
    /// off](Handle::set_forwarding) before.
    ///
    /// # Errors
    /// - [`Error::StillInUse`] if there are other clones. This one is dropped nevertheless, and the last of
    ///   the others closes the handle.
    /// - [`Error::InsideCallback`], because a callback cannot wait for its own end.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::Error;
    ///
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let host = handle.add_host(HostId::new(2))?;
    /// assert!(matches!(handle.clone().close(), Err(Error::StillInUse { others: 2 })));
    /// drop(host);
    /// handle.close()?;
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn close(self) -> Result<(), Error> {
        self.shared().accept_call()?;
        if self.inner.threads.iter().any(Thread::is_current) {
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

    pub(crate) fn transmitters(&self) -> &TransmitterPool {
        &self.inner.transmitters
    }
}

#[cfg(test)]
impl Handle {
    /// Creates a handle without knet-tx, for a test that plays its part.
    pub(crate) fn without_tx() -> Self {
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let settings = HandleConfig {
            busy_poll: Some(Duration::ZERO),
            send_timeout: Duration::MAX,
            ..HandleConfig::default()
        };
        let engine = Engine::new(std::time::Instant::now(), &config);
        let shared = Arc::new(Shared::new(engine, &settings.settings()).unwrap());
        let mut threads = Threads::new(shared.clone());
        let data = shared.clone();
        threads.start("knet-rx", move || rx::thread::run(&data)).unwrap();
        Self { inner: Arc::new(Inner::new(shared, threads)) }
    }
}

fn random_bytes() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or_default();
        Error::os(Operation::ReadRandomBytes, errno, error)
    })?;
    Ok(bytes)
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
        if self.shared.fate.is_forked() {
            // This process has none of the threads, and what they had locked stays locked. Dropping what they
            // shared would wait for it, and so would logging.
            let shared = self.shared.clone();
            return mem::forget((
                shared,
                mem::take(&mut self.audiences),
                mem::take(&mut self.threads),
            ));
        }
        threads::stop(&self.shared, &mut self.threads);
        log!(info, self.shared.log, Handle, "handle closed");
    }
}
