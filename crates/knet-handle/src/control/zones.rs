//! The thread knet-zones: follows the interfaces of links whose zones have names (`docs/protocol.md`,
//! "Zones").
//!
//! It looks the interfaces up in the network namespace of the thread that started it, and opens sockets
//! there.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use knet_poller::{Events, Interest, Poller, Token};
use knet_transport::{InterfaceName, InterfaceWatch};

use crate::core::shared::Shared;
use crate::core::zoned_links::{ZoneThread, ZonedLink};
use crate::error::Error;
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
        let added = poller.add(&watch, Token(0), Interest::READ);
        added.map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        Ok(watch)
    });
    let watch = watch.inspect_err(|error| {
        log!(warn, shared.log, Link, error = %Causes(&error), "interfaces are looked up once a second, because the kernel reports no changes");
    });
    let data = shared.clone();
    let thread = thread::Builder::new().name("knet-zones".to_owned());
    let thread = thread.spawn(move || run(&data, &poller, watch.ok().as_ref()));
    let thread = thread.map_err(|error| {
        let errno = error.raw_os_error().unwrap_or_default();
        Error::os(Operation::StartThread, errno, error)
    })?;
    Ok(ZoneThread { waker, thread })
}

fn run(shared: &Shared, poller: &Poller, watch: Option<&InterfaceWatch>) {
    let mut events = Events::with_capacity(1);
    let mut pause = FIRST_PAUSE;
    while !shared.is_stopping() {
        let links = shared.zoned_links.all();
        let followed = links.iter().filter(|link| !follow(shared, link)).count() == 0;
        pause = if followed { FIRST_PAUSE } else { (2 * pause).min(LAST_PAUSE) };
        let timeout = match watch {
            _ if !followed => Some(pause),
            Some(_) => None,
            None => Some(LAST_PAUSE),
        };
        if let Err(error) = poller.wait(&mut events, timeout) {
            log!(error, shared.log, Link, error = %Causes(&error), "waiting for changes of interfaces failed");
            thread::park_timeout(LAST_PAUSE);
        }
        if watch.is_some_and(InterfaceWatch::has_changed) {
            // PAUSE: changes come in groups, and others may follow one another without an end.
            thread::park_timeout(SETTLE);
        }
    }
}

/// Gives the addresses of a link the numbers that their zones have now. Returns `true` unless that failed.
/// An interface that does not exist is awaited: its appearance is a change.
fn follow(shared: &Shared, link: &ZonedLink) -> bool {
    let index = |zone: Option<InterfaceName>| zone?.index().ok();
    if let Some(index) = index(link.zones.remote) {
        // This fails if the link has been cleared meanwhile.
        let _ =
            shared.engine(|engine, now| engine.set_remote_scope(now, link.host, link.link, index));
    }
    let Some(index) = index(link.zones.local) else { return true };
    match shared.sockets.set_scope(link.socket, index, [&shared.rx.poller, &shared.tx.poller]) {
        Ok(false) => true,
        Ok(true) => {
            log!(info, shared.log, Link, host = %link.host, link = %link.link, index, "the socket follows its interface");
            shared.backpressure.forget(link.socket);
            shared.rx.wake();
            true
        }
        Err(error) => {
            log!(warn, shared.log, Link, host = %link.host, link = %link.link, error = %Causes(&error), "the socket cannot follow its interface");
            false
        }
    }
}

/// How long changes are collected.
const SETTLE: Duration = Duration::from_millis(20);
/// The first pause after an attempt that failed; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
