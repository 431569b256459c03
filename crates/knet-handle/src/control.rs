//! Control packets on their way out: pings, pongs, path MTU probes and their answers.

use knet_engine::Transmit;
use knet_transport::Datagram;

use crate::errno::{EAGAIN, EMSGSIZE, ENOBUFS};
use crate::errors;
use crate::patience::send_one;
use crate::shared::Shared;
use crate::transmit::Transmitter;

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

    fn send_transmit(&mut self, shared: &Shared, transmit: Transmit) {
        let path = transmit.path();
        let Some(socket) = shared.sockets.get(path.socket) else {
            self.stuck.forget(path.socket);
            transmit.failed();
            return;
        };
        let header = transmit.packet();
        let payload = ZEROS.get(..transmit.filler()).unwrap_or(&ZEROS);
        let length = header.len() + payload.len();
        let datagram = Datagram { header, payload, destination: path.remote };
        let mut patience = self.stuck.patience(path.socket);
        let retried = || transmit.retried();
        let sent = send_one(&socket, &mut self.batch, datagram, &mut patience, retried);
        self.stuck.note(path.socket, sent.is_ok(), &patience);
        drop(socket);
        match (sent, transmit.probe_size()) {
            (Ok(()), _) => transmit.sent(length),
            (Err(EMSGSIZE), Some(size)) => {
                // First what the kernel says of it, which makes the next probe the last.
                errors::read(shared, path.socket, &mut self.errors);
                let (host, link) = (transmit.host(), transmit.link());
                shared.engine(|engine, now| engine.handle_probe_refused(now, host, link, size));
                // The next probe has a deadline that the rx thread does not know of.
                shared.rx.wake();
            }
            (Err(errno), _) => {
                tracing::debug!(remote = %path.remote, errno, "control packet not sent");
                // A full queue is no reason: it may be that of a device that others keep busy.
                if transmit.is_ping() && !matches!(errno, EAGAIN | ENOBUFS) {
                    let (host, link) = (transmit.host(), transmit.link());
                    shared.engine(|engine, now| engine.handle_ping_refused(now, host, link, errno));
                }
                transmit.failed();
            }
        }
    }
}

/// What path MTU probes are filled with.
static ZEROS: [u8; 65_535] = [0; 65_535];
