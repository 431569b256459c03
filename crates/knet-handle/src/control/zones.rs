//! The thread knet-zones: follows the interfaces of links whose zones have names (`docs/protocol.md`,
//! "Zones").
//!
//! It looks the interfaces up in the network namespace of the thread that started it, and opens sockets
//! there.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{Events, Interest, Poller, PollerError, Token};
use knet_transport::{InterfaceName, InterfaceWatch, ZoneError};

use crate::core::shared::Shared;
use crate::core::threads;
use crate::core::zoned_links::{ZoneThread, ZonedLink};
use crate::error::Error;
use crate::io::unserved::{LONGEST_PAUSE, LONGEST_POLLER_PAUSE, Step, Unserved};
use crate::log::{Causes, log};
use crate::operation::Operation;

/// Starts the thread.
///
/// # Errors
/// [`Error::Os`].
pub(crate) fn start(shared: &Arc<Shared>) -> Result<ZoneThread, Error> {
    let poller =
        Poller::new().map_err(|error| Error::os(Operation::CreatePoller, error.errno(), error))?;
    let waker = poller.waker();
    // From before the first look-up, so that no change is missed.
    let watch = InterfaceWatch::new().and_then(|watch| {
        let added = poller.add(&watch, WATCH, Interest::READ);
        added.map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        Ok(watch)
    });
    let watch = watch.inspect_err(|error| {
        log!(warn, shared.log, Link, error = %Causes(&error), "interfaces are looked up once a second, because the kernel reports no changes");
    });
    let (data, watch) = (shared.clone(), watch.ok());
    let thread = threads::spawn(shared, "knet-zones", move || {
        let mut thread = ZonesThread::new(&data, &poller, watch.as_ref());
        while !data.is_stopping() {
            thread.turn();
        }
    })?;
    Ok(ZoneThread { waker, thread })
}

struct ZonesThread<'a> {
    shared: &'a Shared,
    poller: &'a Poller,
    /// `None` if the kernel reports no changes.
    watch: Option<&'a InterfaceWatch>,
    events: Events,
    unserved: Unserved<Source>,
}

/// What may fail for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// Looking up the interfaces of the link with this number, or giving their indexes to it.
    Link(u64),
    /// Reading the changes of interfaces.
    Watch,
    /// Waiting.
    Poller,
}

impl<'a> ZonesThread<'a> {
    fn new(shared: &'a Shared, poller: &'a Poller, watch: Option<&'a InterfaceWatch>) -> Self {
        let (events, unserved) = (Events::with_capacity(1), Unserved::default());
        Self { shared, poller, watch, events, unserved }
    }

    /// Looks all interfaces up, and waits until that may be worth while again.
    fn turn(&mut self) {
        for link in self.shared.zoned_links.all() {
            self.follow(&link);
        }
        let now = Instant::now();
        let next = self.unserved.next_timeout().map(|at| at.saturating_duration_since(now));
        let regular = self.watch.is_none().then_some(INTERVAL);
        match self.poller.wait(&mut self.events, next.into_iter().chain(regular).min()) {
            Ok(_) => _ = self.unserved.record_success(Source::Poller),
            Err(error) => self.record_unusable_poller(&error),
        }
        let is_changed = self.events.iter().any(|event| event.token == WATCH);
        if let (Some(watch), true) = (self.watch, is_changed) {
            self.read_changes(watch);
        }
        while let Some(source) = self.unserved.take_due(Instant::now()) {
            if let (Source::Watch, Some(watch)) = (source, self.watch) {
                self.resume(watch);
            }
        }
    }

    /// Gives the addresses of a link the numbers that their zones have now.
    fn follow(&mut self, link: &ZonedLink) {
        let source = Source::Link(link.number);
        let remote = follow_remote(self.shared, link).map_err(Box::from);
        match remote.and(follow_local(self.shared, link)) {
            Ok(()) => _ = self.unserved.record_success(source),
            Err(error) => {
                let step = self.unserved.record_failure(source, Instant::now(), LONGEST_PAUSE);
                if step == (Step::Pause { is_new: true }) {
                    log!(
                        warn, self.shared.log, Link,
                        host = %link.host, link = %link.link, error = %Causes(&*error),
                        "a link cannot follow its interface, trying again less and less often"
                    );
                }
            }
        }
    }

    fn read_changes(&mut self, watch: &InterfaceWatch) {
        let now = Instant::now();
        let (step, error) = match watch.has_changed() {
            Ok(true) => {
                self.unserved.record_success(Source::Watch);
                // PAUSE: changes come in groups, and others may follow one another without an end.
                return thread::park_timeout(SETTLE);
            }
            Ok(false) => {
                let error = io::Error::from(io::ErrorKind::WouldBlock);
                (self.unserved.record_empty(Source::Watch, now, true), error)
            }
            Err(error) => (self.unserved.record_failure(Source::Watch, now, LONGEST_PAUSE), error),
        };
        let Step::Pause { is_new } = step else { return };
        if is_new {
            log!(
                warn, self.shared.log, Link, error = %Causes(&error),
                "changes of interfaces cannot be read, trying again less and less often"
            );
        }
        // If the kernel refuses, the poller discards the events.
        let _ = self.poller.remove(watch);
    }

    /// Has changes read again after a pause.
    fn resume(&mut self, watch: &InterfaceWatch) {
        if self.poller.add(watch, WATCH, Interest::READ).is_err() {
            self.unserved.record_failure(Source::Watch, Instant::now(), LONGEST_PAUSE);
        }
    }

    fn record_unusable_poller(&mut self, error: &PollerError) {
        let now = Instant::now();
        let step = self.unserved.record_failure(Source::Poller, now, LONGEST_POLLER_PAUSE);
        if step == (Step::Pause { is_new: true }) {
            log!(
                error, self.shared.log, Link, error = %Causes(error),
                "waiting for changes of interfaces fails, trying again less and less often"
            );
        }
        let pause = self.unserved.next_timeout().map(|at| at.saturating_duration_since(now));
        // PAUSE: there is nothing that could be waited for.
        thread::sleep(pause.unwrap_or_default());
    }
}

/// Returns the index of an interface, or `None` if there is none of this name: its appearance is a change.
fn index(zone: Option<InterfaceName>) -> Result<Option<u32>, ZoneError> {
    match zone.map(|zone| zone.index()).transpose() {
        Err(ZoneError::UnknownInterface(_)) => Ok(None),
        answer => answer,
    }
}

/// Has the packets of a link leave through the interface that its zone has now.
fn follow_remote(shared: &Shared, link: &ZonedLink) -> Result<(), ZoneError> {
    let Some(index) = index(link.zones.remote)? else { return Ok(()) };
    shared.engine(|engine, now| {
        // It may have been cleared since it was looked up, and another one be in its place.
        if shared.zoned_links.has(link) {
            // The engine has all links that are listed.
            let _ = engine.set_remote_scope(now, link.host, link.link, index);
        }
    });
    Ok(())
}

/// Moves the socket of a link to the interface that its zone has now. A socket that was closed meanwhile
/// has no successor with its id.
fn follow_local(shared: &Shared, link: &ZonedLink) -> Result<(), Box<dyn StdError>> {
    let Some(index) = index(link.zones.local)? else { return Ok(()) };
    if shared.sockets.set_scope(link.socket, index, [&shared.rx.poller, &shared.tx.poller])? {
        log!(info, shared.log, Link, host = %link.host, link = %link.link, index, "the socket follows its interface");
        shared.backpressure.forget(link.socket);
        shared.rx.wake();
    }
    Ok(())
}

/// What the poller reports changes of interfaces as.
const WATCH: Token = Token(0);
/// How long changes are collected.
const SETTLE: Duration = Duration::from_millis(20);
/// How often interfaces are looked up if the kernel reports no changes.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use knet_wire::{HostId, LinkId};

    use super::*;
    use crate::{Handle, LinkConfig, LinkZones};

    #[test]
    fn a_link_does_not_get_what_was_looked_up_for_its_predecessor() {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let (host, id) = (handle.add_host(HostId::new(2)).unwrap(), LinkId::ALL[0]);
        let remote = "[fe80::2%77]:9".parse().unwrap();
        let plain = LinkConfig::udp(([0; 16], 0).into(), remote);
        let zones = LinkZones { remote: Some("lo".parse().unwrap()), ..LinkZones::default() };
        let link = host.add_link(id, LinkConfig { zones, ..plain.clone() }).unwrap();
        let late = handle.shared().zoned_links.all();
        link.clear().unwrap();

        let scope = || match host.link(id).unwrap().remote_addr().unwrap() {
            Some(SocketAddr::V6(remote)) => remote.scope_id(),
            other => panic!("{other:?}"),
        };
        let link = host.add_link(id, plain.clone()).unwrap();
        follow_remote(handle.shared(), &late[0]).unwrap();
        assert_eq!(scope(), 77);
        link.clear().unwrap();

        let no_such = LinkZones { remote: Some("no-such".parse().unwrap()), ..zones };
        let _link = host.add_link(id, LinkConfig { zones: no_such, ..plain }).unwrap();
        follow_remote(handle.shared(), &late[0]).unwrap();
        assert_eq!(scope(), 77);
    }
}
