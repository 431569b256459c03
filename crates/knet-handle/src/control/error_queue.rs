//! Reads the error queues of sockets: which peers are unreachable, and how long packets may be.

use knet_engine::SocketId;
use knet_transport::{ErrorOrigin, ErrorQueue, ReceiveError, SocketError, SocketErrorKind};

use crate::core::shared::Shared;
use crate::log::log;

/// Reads a socket's error queue and passes each entry on to the engine. Any thread may do so: the thread
/// that takes an entry passes it on, so none is lost to a race. Returns how many entries there were.
///
/// # Errors
/// If the kernel refuses. Pollers then go on to report an error for the socket.
pub(crate) fn read(
    shared: &Shared,
    id: SocketId,
    scratch: &mut ErrorQueue,
) -> Result<usize, ReceiveError> {
    for number in 0..MAX_ERRORS {
        let Some(socket) = shared.sockets.get(id) else { return Ok(number) };
        let received = socket.receive_error(scratch);
        drop(socket);
        match received {
            Ok(Some(error)) => {
                let log = shared.log;
                log!(debug, log, Transport, socket = id.0, ?error, "a packet was not delivered");
                handle(shared, id, &error);
            }
            Ok(None) => return Ok(number),
            Err(error) => return Err(error),
        }
    }
    Ok(MAX_ERRORS)
}

/// Passes an error on to the engine (`docs/protocol.md`, "Kernel errors"). Its kind comes from
/// knet-transport's table.
fn handle(shared: &Shared, id: SocketId, error: &SocketError) {
    let Some(destination) = error.destination else { return };
    let ip = destination.ip();
    match (error.kind(), error.mtu) {
        (SocketErrorKind::TooBig, Some(limit)) if error.origin == ErrorOrigin::Local => {
            shared.engine(|engine, now| engine.handle_mtu_limit(now, id, ip, limit));
        }
        (SocketErrorKind::TooBig, Some(limit)) => {
            shared.engine(|engine, now| engine.handle_mtu_suggestion(now, id, ip, limit));
        }
        (SocketErrorKind::Unreachable, _) => {
            shared.engine(|engine, now| {
                engine.handle_transport_error(now, id, destination, error.errno);
            });
        }
        _ => {}
    }
}

/// The most errors of a socket that are read before its datagrams are.
const MAX_ERRORS: usize = 64;
