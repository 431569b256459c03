//! What knet-rx does about sockets and datafds that are reported as ready and cannot be served.

use std::thread;
use std::time::{Duration, Instant};

use knet_channel::Channel;
use knet_engine::{Engine, SocketId};
use knet_poller::{Interest, PollerError, Token};
use knet_transport::ReceiveError;

use crate::core::shared::Shared;
use crate::datafds::stream;
use crate::errno::EAGAIN;
use crate::io::unserved::{LONGEST_PAUSE, LONGEST_POLLER_PAUSE, Step, Unserved};
use crate::log::{Causes, log};

/// The sources of knet-rx that are not polled for a while.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    sources: Unserved<Source>,
    poller: Unserved<()>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// The datagrams of a socket.
    Datagrams(SocketId),
    /// The error queue of a socket.
    Errors(SocketId),
    /// Room in a stream that took only a part of a message.
    Room(Channel),
}

impl Pauses {
    /// Records that something was received from a socket.
    pub(crate) fn record_datagrams(&mut self, shared: &Shared, id: SocketId) {
        if self.sources.record_success(Source::Datagrams(id)) {
            log!(info, shared.log, Transport, socket = id.0, "receiving from a socket works again");
            shared.engine(|engine, now| engine.handle_receive_restored(now, Some(id)));
        }
    }

    /// Records that receiving from a socket failed, and pauses it.
    pub(crate) fn record_failure(&mut self, shared: &Shared, id: SocketId, error: &ReceiveError) {
        let source = Source::Datagrams(id);
        let step = self.sources.record_failure(source, Instant::now(), LONGEST_PAUSE);
        self.pause_socket(shared, id, step, error.errno(), error);
    }

    /// Records that a socket was reported as ready and had neither datagrams nor errors, but this errno.
    pub(crate) fn record_empty(&mut self, shared: &Shared, id: SocketId, errno: i32) {
        let (source, now) = (Source::Datagrams(id), Instant::now());
        let step = self.sources.record_empty(source, now, errno != EAGAIN);
        if errno != EAGAIN {
            let error = std::io::Error::from_raw_os_error(errno);
            return self.pause_socket(shared, id, step, errno, &error);
        }
        let Step::Pause { is_new } = step else { return };
        // No reason of its links: the kernel does that for datagrams with a wrong checksum, which anybody can
        // send.
        if is_new {
            log!(
                warn,
                shared.log,
                Transport,
                socket = id.0,
                "a socket is reported as ready and has nothing, which datagrams with a wrong checksum cause"
            );
        }
        unwatch(shared, id);
    }

    fn pause_socket(
        &self,
        shared: &Shared,
        id: SocketId,
        step: Step,
        errno: i32,
        error: &dyn std::error::Error,
    ) {
        let Step::Pause { is_new } = step else { return };
        if is_new {
            log!(
                warn, shared.log, Transport, socket = id.0, error = %Causes(error),
                "receiving from a socket fails, trying again less and less often"
            );
        }
        unwatch(shared, id);
        // Each time, for links that were added meanwhile.
        shared.engine(|engine, now| engine.handle_receive_failed(now, Some(id), errno));
    }

    /// Records that entries were read from the error queue of a socket, or that it was empty.
    pub(crate) fn record_errors(&mut self, id: SocketId) {
        self.sources.record_success(Source::Errors(id));
    }

    /// Records that reading the error queue of a socket failed. Its datagrams are received at the end of
    /// each pause.
    pub(crate) fn record_unreadable_errors(
        &mut self,
        shared: &Shared,
        id: SocketId,
        error: &ReceiveError,
    ) {
        let source = Source::Errors(id);
        let step = self.sources.record_failure(source, Instant::now(), LONGEST_PAUSE_OF_ERRORS);
        if step == (Step::Pause { is_new: true }) {
            log!(
                warn, shared.log, Transport, socket = id.0, error = %Causes(error),
                "reading the error queue of a socket fails: messages may be late on its links"
            );
        }
        unwatch(shared, id);
    }

    /// Writes the rest of a message to a stream that is reported to have room.
    pub(crate) fn write_rest(&mut self, shared: &Shared, channel: Channel) {
        let Some(entry) = shared.datafds.get(channel) else { return };
        let (source, before) = (Source::Room(channel), entry.rest_len());
        match stream::write_rest(&shared.rx.poller, &entry) {
            Ok(()) => _ = self.sources.record_success(source),
            Err(EAGAIN) if entry.rest_len() == before => {
                let step = self.sources.record_empty(source, Instant::now(), false);
                if step != Step::Ignore {
                    stream::unwatch(&shared.rx.poller, &entry);
                }
            }
            Err(EAGAIN) => _ = self.sources.record_success(source),
            Err(errno) => {
                log!(
                    debug, shared.log, Datafd, %channel, errno,
                    "the rest of a message was not written"
                );
            }
        }
    }

    /// Has the sources polled again whose pause has ended.
    pub(crate) fn work(&mut self, shared: &Shared) {
        let now = Instant::now();
        while let Some(source) = self.sources.take_due(now) {
            match source {
                Source::Datagrams(id) | Source::Errors(id) => watch(shared, id),
                Source::Room(channel) => {
                    if let Some(entry) = shared.datafds.get(channel) {
                        stream::watch(&shared.rx.poller, shared.log, &entry);
                    }
                }
            }
        }
    }

    /// Returns when [`Pauses::work`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.sources.next_timeout()
    }

    /// Records that waiting for sockets failed, and waits a moment. Timers go on.
    pub(crate) fn record_unusable_poller(&mut self, shared: &Shared, error: &PollerError) {
        let now = Instant::now();
        let step = self.poller.record_failure((), now, LONGEST_POLLER_PAUSE);
        if step == (Step::Pause { is_new: true }) {
            log!(
                error, shared.log, Rx, error = %Causes(&error),
                "waiting for sockets fails, nothing is received: create the handle again"
            );
        }
        shared.engine(|engine, now| engine.handle_receive_failed(now, None, error.errno()));
        let pause = self.poller.next_timeout().map(|at| at.saturating_duration_since(now));
        // PAUSE: there is nothing that could be waited for.
        thread::sleep(pause.unwrap_or_default());
    }

    /// Records that waiting for sockets worked.
    pub(crate) fn record_usable_poller(&mut self, shared: &Shared) {
        if self.poller.record_success(()) {
            log!(info, shared.log, Rx, "waiting for sockets works again");
            shared.engine(|engine: &mut Engine, now| engine.handle_receive_restored(now, None));
        }
    }
}

fn watch(shared: &Shared, id: SocketId) {
    let Some(socket) = shared.sockets.get(id) else { return };
    if let Err(error) = shared.rx.poller.add(&*socket, Token(id.0), Interest::READ) {
        // It was not taken out: removing failed, or two of its sources paused.
        log!(debug, shared.log, Transport, socket = id.0, error = %Causes(&error), "a socket is not watched again");
    }
}

fn unwatch(shared: &Shared, id: SocketId) {
    if let Some(socket) = shared.sockets.get(id) {
        // It may be out already. If the kernel refuses, the poller discards the events.
        let _ = shared.rx.poller.remove(&*socket);
    }
}

/// The longest pause of a socket of which only the error queue cannot be read: links stay up.
const LONGEST_PAUSE_OF_ERRORS: Duration = Duration::from_millis(20);
