//! The subscribers of a handle's events: callbacks and event streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent, Rejection};
use parking_lot::Mutex;

use crate::api::event_log;
use crate::api::event_stream::{EventStream, StreamWriter};
use crate::api::handle::Handle;
use crate::core::notices::Notice;
use crate::core::subject::About;
use crate::event::{DatafdEvent, Notification};
use crate::log::log;
use crate::panics;

/// The audience of each kind of event.
#[derive(Debug, Default)]
pub(crate) struct Audiences {
    pub(crate) datafd: Audience<DatafdEvent>,
    pub(crate) host: Audience<HostEvent>,
    pub(crate) link: Audience<LinkEvent>,
    pub(crate) mtu: Audience<MtuEvent>,
    pub(crate) address: Audience<AddressEvent>,
    pub(crate) rejection: Audience<Rejection>,
}

impl Audiences {
    /// Logs an event and reports it to the audience of its kind. Before it `dropped` others of the kind were lost.
    pub(crate) fn deliver(&self, handle: &Handle, notice: Notice, dropped: u64) {
        event_log::notice(handle.shared().log, &notice, dropped);
        match notice {
            Notice::Datafd(event) => self.datafd.deliver(handle, event, dropped),
            Notice::Host(event) => self.host.deliver(handle, event, dropped),
            Notice::Link(event) => self.link.deliver(handle, event, dropped),
            Notice::Mtu(event) => self.mtu.deliver(handle, event, dropped),
            Notice::Address(event) => self.address.deliver(handle, event, dropped),
            Notice::Rejected(rejection) => self.rejection.deliver(handle, rejection, dropped),
        }
    }
}

type Callback<T> = Arc<dyn Fn(&Handle, &Notification<T>) + Send + Sync>;

/// A callback, with the number of events that it missed.
struct Listener<T> {
    callback: Callback<T>,
    lost: u64,
}

/// The subscribers of one kind of event.
pub(crate) struct Audience<T> {
    subscribed: AtomicBool,
    listener: Mutex<Option<Listener<T>>>,
    streams: Mutex<Vec<StreamWriter<T>>>,
}

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self {
            subscribed: AtomicBool::new(false),
            listener: Mutex::default(),
            streams: Mutex::default(),
        }
    }
}

impl<T> std::fmt::Debug for Audience<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").field("subscribed", &self.subscribed).finish_non_exhaustive()
    }
}

impl<T: About + Clone> Audience<T> {
    /// Returns `true` if these events were ever subscribed to.
    pub(crate) fn was_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire)
    }

    pub(crate) fn set_callback(&self, callback: Callback<T>) {
        let old = self.listener.lock().replace(Listener { callback, lost: 0 });
        self.subscribed.store(true, Ordering::Release);
        // Dropped outside the lock: it may own anything.
        drop(old);
    }

    pub(crate) fn clear_callback(&self) {
        let old = self.listener.lock().take();
        drop(old);
    }

    pub(crate) fn stream(&self) -> EventStream<T> {
        let (writer, stream) = StreamWriter::new();
        self.streams.lock().push(writer);
        self.subscribed.store(true, Ordering::Release);
        stream
    }

    fn deliver(&self, handle: &Handle, event: T, dropped: u64) {
        self.streams.lock().retain(|stream| stream.push(event.clone(), dropped));
        let Some((callback, lost)) = self.listener(dropped) else { return };
        let notification = Notification { event, lost };
        let called = panics::catch(|| {
            callback(handle, &notification);
            // It may be the last, if another one has replaced it.
            drop(callback);
        });
        if let Err(panic) = called {
            let log = handle.shared().log;
            log!(error, log, Handle, panic, "a callback panicked; nothing else is affected");
        }
    }

    /// Returns the callback, to be called without the lock, and how many events it has missed.
    fn listener(&self, dropped: u64) -> Option<(Callback<T>, u64)> {
        let mut listener = self.listener.lock();
        let Listener { callback, lost } = listener.as_mut()?;
        *lost += dropped;
        Some((callback.clone(), *lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clears the audience's callback when it is dropped.
    struct ClearsCallback(Arc<Audience<MtuEvent>>);

    impl Drop for ClearsCallback {
        fn drop(&mut self) {
            self.0.clear_callback();
        }
    }

    #[test]
    fn a_callback_learns_how_many_events_it_missed_since_it_was_set() {
        let audience = Audience::default();
        let callback: Callback<MtuEvent> = Arc::new(|_, _| {});
        assert!(audience.listener(5).is_none());
        audience.set_callback(callback.clone());
        let lost = |dropped| audience.listener(dropped).map(|(_, lost)| lost);
        assert_eq!([lost(0), lost(3), lost(1)], [Some(0), Some(3), Some(4)]);
        audience.set_callback(callback);
        assert_eq!(lost(0), Some(0));
    }

    #[test]
    fn what_a_callback_owned_is_dropped_with_no_lock_held() {
        let audience = Arc::new(Audience::default());
        let owned = ClearsCallback(audience.clone());
        audience.set_callback(Arc::new(move |_: &Handle, _: &Notification<MtuEvent>| {
            let _ = &owned;
        }));
        let (report, reports) = crossbeam_channel::bounded(1);
        std::thread::spawn(move || {
            audience.set_callback(Arc::new(|_: &Handle, _: &Notification<MtuEvent>| {}));
            report.send(()).unwrap();
        });
        reports.recv_timeout(std::time::Duration::from_secs(10)).expect("it is dropped");
    }
}
