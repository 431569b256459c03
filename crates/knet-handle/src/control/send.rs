//! Sends control packets: pings, pongs, path MTU probes and their replies.

use std::collections::VecDeque;
use std::iter;
use std::time::Instant;

use knet_engine::{Engine, SocketId, Transmit, forced_ping_due};
use knet_transport::{Datagram, ErrorQueue, ReceiveError, SendError};
use knet_wire::SequenceNumber;

use crate::control::error_queue;
use crate::core::shared::Shared;
use crate::errno::{EADDRNOTAVAIL, EINVAL, EMSGSIZE, ENETUNREACH};
use crate::io::backpressure::NoRoom;
use crate::io::batch::BATCH;
use crate::io::control_queue::BlockedControl;
use crate::io::emit::{Emitted, Emitter, Stop};
use crate::log::{Causes, log};

/// What a thread sends control packets with. A thread that sends data owns one through its transmitter,
/// whose packets leave by the same emitter.
#[derive(Debug, Default)]
pub(crate) struct ControlSender {
    pub(crate) emitter: Emitter,
    /// The packets that are due. Empty but while they are sent.
    queue: VecDeque<Transmit>,
    pub(crate) errors: ErrorQueue,
}

impl ControlSender {
    /// Sends the control packets that are due, and those that follow from how that went.
    pub(crate) fn send_due(&mut self, shared: &Shared) {
        loop {
            shared.take_transmits(&mut self.queue);
            if self.queue.is_empty() {
                return;
            }
            let mut queue = std::mem::take(&mut self.queue);
            self.send_all(shared, &mut queue);
            // There is one for each link now and then.
            queue.shrink_to(MAX_SPARE);
            self.queue = queue;
        }
    }

    /// Returns the next sequence number, after requesting the pings that announce it if any are due.
    ///
    /// Knet-rx sends them, which has them all leave by the batch. If it has been busy for as long as it takes to
    /// send thousands of messages, this thread sends them: a peer must not miss them.
    pub(crate) fn next_number(&mut self, shared: &Shared) -> SequenceNumber {
        let sequence = shared.sequence.next();
        if forced_ping_due(sequence) && !shared.request_forced_pings() {
            shared.engine(Engine::force_pings);
            self.send_due(shared);
        }
        sequence
    }

    /// Reads the error queue of a socket. Returns how many entries there were.
    ///
    /// # Errors
    /// If the kernel refuses. Pollers then go on to report an error for the socket.
    pub(crate) fn read_errors(
        &mut self,
        shared: &Shared,
        socket: SocketId,
    ) -> Result<usize, ReceiveError> {
        error_queue::read(shared, socket, &mut self.errors)
    }

    /// Sends control packets, those of one socket by the batch. The ones that find no room are retried on knet-rx.
    fn send_all(&mut self, shared: &Shared, queue: &mut VecDeque<Transmit>) {
        let socket_of = |transmit: &Transmit| transmit.path().socket;
        if !queue.iter().is_sorted_by_key(socket_of) {
            // Those of one socket stay in their order.
            queue.make_contiguous().sort_by_key(socket_of);
        }
        let mut is_blocked = false;
        while let Some(socket) = queue.front().map(socket_of) {
            let same =
                queue.iter().take(BATCH).take_while(|transmit| socket_of(transmit) == socket);
            let count = same.count();
            let datagrams = queue.iter().take(count).map(|transmit| datagram(shared, transmit));
            let emitted = self.emitter.emit(&shared.sockets, socket, datagrams);
            let Some(Emitted { sent, stop }) = emitted else {
                queue.drain(..count).for_each(Transmit::record_error);
                continue;
            };
            note_lost_source(shared, socket, queue.iter().take(sent));
            record_unclaimed(shared, socket, queue.iter().take(sent));
            queue.drain(..sent).for_each(record_sent);
            match stop {
                None => {}
                Some(Stop::NoRoom(no_room)) => {
                    is_blocked = true;
                    block(shared, queue, socket, no_room);
                }
                Some(Stop::Refused(error)) => {
                    let refused = queue.pop_front();
                    refused.into_iter().for_each(|it| self.handle_refusal(shared, it, &error));
                }
            }
        }
        if is_blocked {
            shared.rx.wake();
        }
    }

    /// Sends a control packet, or gives it back if there is no room for it.
    pub(crate) fn try_send(
        &mut self,
        shared: &Shared,
        transmit: Transmit,
    ) -> Result<(), (Transmit, NoRoom)> {
        let (socket, datagrams) = (transmit.path().socket, iter::once(datagram(shared, &transmit)));
        let Some(emitted) = self.emitter.emit(&shared.sockets, socket, datagrams) else {
            transmit.record_error();
            return Ok(());
        };
        match emitted.stop {
            None => {
                record_unclaimed(shared, socket, iter::once(&transmit));
                record_sent(transmit);
            }
            Some(Stop::NoRoom(no_room)) => return Err((transmit, no_room)),
            Some(Stop::Refused(error)) => self.handle_refusal(shared, transmit, &error),
        }
        Ok(())
    }

    /// Reports a packet that the kernel refused to the engine.
    fn handle_refusal(&mut self, shared: &Shared, transmit: Transmit, error: &SendError) {
        let (host, link, path) = (transmit.host(), transmit.link(), transmit.path());
        let (socket, errno, log) = (path.socket, error.errno(), shared.log);
        log!(
            debug, log, Link, remote = %path.remote, error = %Causes(error),
            "control packet not sent"
        );
        match transmit.probe_size() {
            Some(size) if errno == EMSGSIZE => {
                // The length that the kernel reports comes first: that makes the next probe the last.
                // If that fails, the search goes on without.
                let _ = self.read_errors(shared, socket);
                shared.engine(|engine, now| engine.handle_probe_refused(now, host, link, size));
            }
            _ => {
                if transmit.is_ping() {
                    let lost =
                        if may_be_lost(errno) { shared.sockets.lost_addr(socket) } else { None };
                    shared.engine(|engine, now| {
                        engine.handle_own_address_lost(host, link, lost);
                        engine.handle_ping_refused(now, host, link, errno);
                    });
                }
                transmit.record_error();
            }
        }
    }
}

fn datagram<'a>(shared: &Shared, transmit: &'a Transmit) -> Datagram<'a> {
    let payload = ZEROS.get(..transmit.padding_len()).unwrap_or(&ZEROS);
    let marking = shared.sockets.control_marking(transmit.tag());
    let (destination, source) = (transmit.path().remote, transmit.source());
    Datagram { header: transmit.packet(), payload, destination, source, marking }
}

/// Reports to the engine which of these pings had to leave from another address than they were to, because this
/// machine no longer has that one.
fn note_lost_source<'a>(
    shared: &Shared,
    socket: SocketId,
    sent: impl Iterator<Item = &'a Transmit>,
) {
    // Only those over a socket that is bound to all addresses have a source.
    let mut pings = sent.filter(|sent| sent.is_ping() && sent.source().is_some()).peekable();
    if pings.peek().is_none() {
        return;
    }
    let Some(lost) = shared.sockets.take_lost_source(socket) else { return };
    shared.engine(|engine, _| {
        for ping in pings.filter(|ping| ping.source() == Some(lost)) {
            engine.handle_own_address_lost(ping.host(), ping.link(), Some(lost));
        }
    });
}

/// Returns `true` if the kernel may refuse a packet with this number because this machine does not have the
/// address that it is to leave from.
fn may_be_lost(errno: i32) -> bool {
    [EINVAL, EADDRNOTAVAIL, ENETUNREACH].contains(&errno)
}

/// Records which of these packets the kernel may keep because their host is gone.
fn record_unclaimed<'a>(
    shared: &Shared,
    socket: SocketId,
    sent: impl Iterator<Item = &'a Transmit>,
) {
    let lengths =
        sent.filter(|sent| !sent.link_is_up()).map(|sent| sent.packet().len() + sent.padding_len());
    let (packets, bytes) = lengths.fold((0, 0), |(packets, sum), len| (packets + 1, sum + len));
    if let Some(socket) = shared.sockets.get(socket).filter(|_| packets > 0) {
        socket.limit.record_unclaimed(packets, bytes, Instant::now());
    }
}

fn record_sent(transmit: Transmit) {
    let length = transmit.packet().len() + transmit.padding_len();
    transmit.record_sent(length);
}

/// Blocks the packets of a socket, of which the first found no room. It would have none for the others either.
fn block(shared: &Shared, queue: &mut VecDeque<Transmit>, socket: SocketId, no_room: NoRoom) {
    let now = Instant::now();
    shared.backpressure.let_control_go_first(socket, now);
    while queue.front().is_some_and(|transmit| transmit.path().socket == socket) {
        let Some(transmit) = queue.pop_front() else { return };
        shared.control_queue.push(BlockedControl::new(transmit, no_room, now));
    }
}

/// How many packets a queue has memory for while it is empty.
const MAX_SPARE: usize = 256;

/// What path MTU probes are padded with.
static ZEROS: [u8; 65_535] = [0; 65_535];

#[cfg(test)]
mod tests;
