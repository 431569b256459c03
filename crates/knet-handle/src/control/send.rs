//! Sends control packets: pings, pongs, path MTU probes and their replies.

use std::iter;
use std::time::Instant;

use knet_engine::{Engine, SocketId, Transmit, forced_ping_due};
use knet_transport::{Datagram, ErrorQueue, ReceiveError};
use knet_wire::SequenceNumber;

use crate::control::error_queue;
use crate::core::shared::Shared;
use crate::errno::EMSGSIZE;
use crate::io::backpressure::NoRoom;
use crate::io::control_queue::BlockedControl;
use crate::io::emit::{Emitter, Stop};
use crate::log::{Causes, log};

/// What a thread sends control packets with. A thread that sends data owns one through its transmitter,
/// whose packets leave by the same emitter.
#[derive(Debug, Default)]
pub(crate) struct ControlSender {
    pub(crate) emitter: Emitter,
    /// The packets that are due. Empty but while they are sent.
    queue: Vec<Transmit>,
    pub(crate) errors: ErrorQueue,
}

impl ControlSender {
    /// Sends the control packets that are due, and those that follow from how that went.
    pub(crate) fn send_due(&mut self, shared: &Shared) {
        let mut queue = std::mem::take(&mut self.queue);
        loop {
            shared.take_transmits(&mut queue);
            if queue.is_empty() {
                break;
            }
            for transmit in queue.drain(..) {
                self.send(shared, transmit);
            }
        }
        self.queue = queue;
    }

    /// Returns the next sequence number, after sending the pings that announce it if any are due.
    pub(crate) fn next_number(&mut self, shared: &Shared) -> SequenceNumber {
        let sequence = shared.sequence.next();
        if forced_ping_due(sequence) {
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

    /// Sends a control packet. One that finds no room is retried on knet-rx.
    fn send(&mut self, shared: &Shared, transmit: Transmit) {
        if let Err((transmit, no_room)) = self.try_send(shared, transmit) {
            let now = Instant::now();
            shared.backpressure.let_control_go_first(transmit.path().socket, now);
            shared.control_queue.push(BlockedControl::new(transmit, no_room, now));
            shared.rx.wake();
        }
    }

    /// Sends a control packet, or gives it back if there is no room for it.
    pub(crate) fn try_send(
        &mut self,
        shared: &Shared,
        transmit: Transmit,
    ) -> Result<(), (Transmit, NoRoom)> {
        let path = transmit.path();
        let payload = ZEROS.get(..transmit.padding_len()).unwrap_or(&ZEROS);
        let marking = shared.sockets.control_marking(transmit.tag());
        let header = transmit.packet();
        let (destination, source) = (path.remote, transmit.source());
        let datagram = Datagram { header, payload, destination, source, marking };
        let mut sent = None;
        let count = |_, length| sent = Some(length);
        let emitted = self.emitter.emit(&shared.sockets, path.socket, iter::once(datagram), count);
        let Some(emitted) = emitted else {
            transmit.record_error();
            return Ok(());
        };
        match emitted.stop {
            None => transmit.record_sent(sent.unwrap_or_default()),
            Some(Stop::NoRoom(no_room)) => return Err((transmit, no_room)),
            Some(Stop::Refused(error)) => {
                let log = shared.log;
                log!(debug, log, Link, remote = %path.remote, error = %Causes(&error), "control packet not sent");
                self.handle_refusal(shared, transmit, error.errno());
            }
        }
        Ok(())
    }

    /// Reports a packet that the kernel refused to the engine.
    fn handle_refusal(&mut self, shared: &Shared, transmit: Transmit, errno: i32) {
        let (host, link, socket) = (transmit.host(), transmit.link(), transmit.path().socket);
        match transmit.probe_size() {
            Some(size) if errno == EMSGSIZE => {
                // The length that the kernel reports comes first: that makes the next probe the last.
                // If that fails, the search goes on without.
                let _ = self.read_errors(shared, socket);
                shared.engine(|engine, now| engine.handle_probe_refused(now, host, link, size));
            }
            _ => {
                if transmit.is_ping() {
                    shared.engine(|engine, now| engine.handle_ping_refused(now, host, link, errno));
                }
                transmit.record_error();
            }
        }
    }
}

/// What path MTU probes are padded with.
static ZEROS: [u8; 65_535] = [0; 65_535];

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::fixtures::{DEADLINE, Scene};

    #[test]
    fn one_number_in_thousands_is_announced_by_pings_and_wakes_knet_rx() {
        let scene = Scene::new();
        let _ = scene.first_ping();
        let mut sender = ControlSender::default();
        let due = (1..=u16::MAX).map(SequenceNumber::new).find(|&it| forced_ping_due(it)).unwrap();
        while scene.shared.sequence.current().get() < due.get() - 1 {
            let _ = sender.next_number(&scene.shared);
        }
        let _ = scene.is_rx_woken();
        assert_eq!(scene.stats().tx_ping_packets, 0);
        assert_eq!(sender.next_number(&scene.shared), due);
        assert_eq!(scene.stats().tx_ping_packets, 1);
        assert!(scene.is_rx_woken(), "it does not know of the timers that were set");
    }

    #[test]
    fn an_error_that_another_thread_reads_wakes_knet_rx() {
        let deserted = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Connected to itself, it accepts datagrams from no other.
        let remote = deserted.local_addr().unwrap();
        deserted.connect(remote).unwrap();
        let scene = Scene::to(remote, deserted);
        let mut sender = ControlSender::default();
        assert!(sender.try_send(&scene.shared, scene.first_ping()).is_ok());
        let give_up = Instant::now() + DEADLINE;
        let _ = scene.is_rx_woken();
        while sender.read_errors(&scene.shared, scene.socket()).unwrap() == 0 {
            assert!(!scene.is_rx_woken() && Instant::now() < give_up, "no error comes");
        }
        assert!(scene.is_rx_woken());
    }

    #[test]
    fn a_refused_probe_wakes_knet_rx() {
        let scene = Scene::new();
        let mut sender = ControlSender::default();
        let probe = scene.first_probe();
        let _ = scene.is_rx_woken();
        sender.handle_refusal(&scene.shared, probe, EMSGSIZE);
        assert!(scene.is_rx_woken(), "the next probe has a deadline");
    }
}
