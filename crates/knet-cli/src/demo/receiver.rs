//! Host 2's side of the demo: accepts the pieces in order and acknowledges them.

use std::time::Duration;

use anyhow::bail;
use kronosnet::{Datafd, Error, MAX_MESSAGE};
use sha2::{Digest, Sha256};

use crate::demo::message::{Acknowledgement, Piece};
use crate::process::readiness::wait_readable;

/// What host 2 has received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    digest: Sha256,
    /// The next expected position.
    next: u64,
}

impl Received {
    /// Accepts a message. Discards a piece that is out of order: the sender will retransmit it.
    fn accept(&mut self, message: &[u8]) {
        let Some(piece) = Piece::decode(message) else { return };
        if piece.position == self.next {
            self.digest.update(piece.bytes);
            self.bytes += piece.bytes.len() as u64;
            self.next = piece.positions().end;
        }
    }

    /// Acknowledges everything up to the first missing byte.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement { position: self.next }
    }

    /// Returns the SHA-256 of the received bytes.
    pub(crate) fn sha256(self) -> String {
        format!("{:x}", self.digest.finalize())
    }
}

/// Receives on `data` and acknowledges on `acks` until `data` is removed.
///
/// Sends one acknowledgement for all messages that were waiting in the datafd.
///
/// # Errors
/// An error if a datafd fails, or nothing arrives for [`STALL_TIMEOUT`].
pub(crate) fn receive(data: &Datafd, acks: &Datafd) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        if !wait_readable(data, STALL_TIMEOUT)? {
            bail!("host 2 received nothing for {} s", STALL_TIMEOUT.as_secs());
        }
        loop {
            match data.recv(&mut buffer) {
                Ok(length) => received.accept(&buffer[..length]),
                Err(Error::WouldBlock(_)) => break,
                // Removed: the demo is over.
                Err(Error::DatafdClosed(_) | Error::ChannelNotInUse(_)) => return Ok(received),
                Err(error) => return Err(error.into()),
            }
        }
        match acks.send(&received.acknowledgement().encode()) {
            // As good as lost: the pieces will be retransmitted and acknowledged again.
            Ok(_) | Err(Error::NoReachableHost { .. } | Error::NotSent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Longer than the sender's timeout, so that the sender's more specific error is reported.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(received: &mut Received, position: u64, bytes: &[u8]) -> u64 {
        let mut message = Vec::new();
        Piece { position, bytes }.encode(&mut message);
        received.accept(&message);
        received.acknowledgement().position
    }

    #[test]
    fn pieces_count_once_and_in_order() {
        let mut received = Received::default();
        assert_eq!(accept(&mut received, 0, b"abc"), 3);
        assert_eq!(accept(&mut received, 6, b"ghi"), 3, "one is missing");
        assert_eq!(accept(&mut received, 0, b"abc"), 3, "a duplicate");
        assert_eq!(accept(&mut received, 3, b"def"), 6);
        assert_eq!(accept(&mut received, 6, b"ghi"), 9);
        assert_eq!(accept(&mut received, 9, b""), 10, "the end occupies a position");
        received.accept(b"short");
        assert_eq!(received.bytes, 9);
        assert_eq!(received.sha256(), format!("{:x}", Sha256::digest(b"abcdefghi")));
    }
}
