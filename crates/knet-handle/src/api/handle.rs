//! The handle: what an application holds.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use knet_engine::{Engine, EngineConfig};
use knet_wire::HostId;

use crate::api::audience::Audiences;
use crate::api::builder::HandleBuilder;
use crate::api::handle_config::HandleConfig;
use crate::api::notify_thread;
use crate::core::shared::Shared;
use crate::core::threads::{self, Threads};
use crate::error::{Error, Operation};
use crate::tx::pool::TransmitterPool;
use crate::{rx, tx};

/// A host's place in the cluster: its datafds on one side, its links to the other hosts on the
/// other. See the crate's documentation for an example.
///
/// Cloning is cheap, and every clone may be used from any thread. When the last clone goes away
/// (a [`Host`](crate::Host), a [`Link`](crate::Link), a [`Datafd`](crate::Datafd) or an
/// [`LocalSocket`](crate::LocalSocket) counts as one), the threads stop and everything that the handle opened is closed; while a callback runs that happens when it
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
        Self::with_config(host, HandleConfig::default())
    }

    /// A handle that can be adjusted before it is made.
    #[must_use]
    pub fn builder(host: HostId) -> HandleBuilder {
        HandleBuilder::new(host)
    }

    /// Creates a handle with settings for the host with this id.
    ///
    /// # Errors
    /// - [`Error::Mtu`] if `manual_mtu` or `mtu_interval` is out of range.
    /// - [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
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

    /// How long the data threads look for more to do at most before they sleep:
    /// [`HandleBuilder::busy_poll`].
    #[must_use]
    pub fn busy_poll(&self) -> Duration {
        self.shared().busy_poll
    }

    /// How long packets wait for room in a full link: [`HandleBuilder::send_timeout`].
    #[must_use]
    pub fn send_timeout(&self) -> Duration {
        self.shared().backpressure.send_timeout()
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

    pub(crate) fn transmitters(&self) -> &TransmitterPool {
        &self.inner.transmitters
    }
}

#[cfg(test)]
impl Handle {
    /// A handle without knet-tx, whose part the test plays.
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
        threads::stop(&self.shared, &mut self.threads);
    }
}
