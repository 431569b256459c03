//! Control packets on their way out: pings, pongs, path MTU probes and their answers.

use std::time::Instant;

use knet_engine::Transmit;
use knet_transport::{Datagram, SendError, SendErrorKind};

use crate::control::error_queue;
use crate::control::retry::HeldPacket;
use crate::core::shared::Shared;
use crate::errno::EMSGSIZE;
use crate::io::packet_tag;
use crate::tx::send::MAX_PENDING;
use crate::tx::transmitter::Transmitter;

impl Transmitter {
    /// Sends control packets, and those that follow from how that went.
    pub(crate) fn send_control(&mut self, shared: &Shared) {
        let mut control = std::mem::take(&mut self.control);
        loop {
            shared.take_transmits(&mut control);
            if control.is_empty() {
                break;
            }
            for transmit in control.drain(..) {
                self.send_transmit(shared, transmit);
            }
        }
        self.control = control;
    }

    /// Sends a control packet. One that finds no room waits for it in knet-rx.
    fn send_transmit(&mut self, shared: &Shared, transmit: Transmit) {
        if let Err((transmit, error)) = self.try_transmit(shared, transmit) {
            let now = Instant::now();
            shared.full.let_control_go_first(transmit.path().socket, now);
            shared.held.push(HeldPacket::new(transmit, &error, now));
            shared.rx.wake();
        }
    }

    /// Sends a control packet, or gives it back if there is no room for it.
    pub(crate) fn try_transmit(
        &mut self,
        shared: &Shared,
        transmit: Transmit,
    ) -> Result<(), (Transmit, SendError)> {
        let path = transmit.path();
        let Some(socket) = shared.sockets.get(path.socket) else {
            transmit.record_error();
            return Ok(());
        };
        let header = transmit.packet();
        let payload = ZEROS.get(..transmit.padding_len()).unwrap_or(&ZEROS);
        let length = header.len() + payload.len();
        let marking = packet_tag::from_tag(transmit.tag());
        let datagram = Datagram { header, payload, destination: path.remote, marking };
        let mut error = None;
        for _ in 0..=MAX_PENDING {
            error = socket.send(&mut self.batch, &[datagram]).error;
            if error.is_none_or(|error| error.kind() != SendErrorKind::Pending) {
                break;
            }
        }
        drop(socket);
        let Some(error) = error else {
            transmit.record_sent(length);
            return Ok(());
        };
        if error.kind() == SendErrorKind::WouldBlock {
            return Err((transmit, error));
        }
        tracing::debug!(remote = %path.remote, %error, "control packet not sent");
        let (host, link, errno) = (transmit.host(), transmit.link(), error.errno());
        match transmit.probe_size() {
            Some(size) if errno == EMSGSIZE => {
                // First what the kernel says of it, which makes the next probe the last.
                error_queue::read(shared, path.socket, &mut self.errors);
                shared.engine(|engine, now| engine.handle_probe_refused(now, host, link, size));
                // The next probe has a deadline that the rx thread does not know of.
                shared.rx.wake();
            }
            _ => {
                if transmit.is_ping() {
                    shared.engine(|engine, now| engine.handle_ping_refused(now, host, link, errno));
                }
                transmit.record_error();
            }
        }
        Ok(())
    }
}

/// What path MTU probes are filled with.
static ZEROS: [u8; 65_535] = [0; 65_535];
