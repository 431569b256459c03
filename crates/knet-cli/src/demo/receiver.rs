//! Host 2's side of the demo: takes the pieces that come in order, and acknowledges them.

use std::time::Duration;

use anyhow::bail;
use kronosnet::{Datafd, Error, MAX_MESSAGE};
use sha2::{Digest, Sha256};

use crate::demo::message::{Acknowledgement, Piece};
use crate::readiness::wait_readable;

/// What host 2 has received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    digest: Sha256,
    /// The position that comes next.
    next: u64,
}

impl Received {
    /// Takes a message in. What came out of order is forgotten: it will be sent again.
    fn take(&mut self, message: &[u8]) {
        let Some(piece) = Piece::decode(message) else { return };
        if piece.position == self.next {
            self.digest.update(piece.bytes);
            self.bytes += piece.bytes.len() as u64;
            self.next = piece.positions().end;
        }
    }

    /// Up to where nothing is missing.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement { position: self.next }
    }

    /// The SHA-256 of what came.
    pub(crate) fn sha256(self) -> String {
        format!("{:x}", self.digest.finalize())
    }
}

/// Receives on `data` and acknowledges on `acks` until `data` is removed.
///
/// One acknowledgement stands for all the messages that were waiting.
///
/// # Errors
/// If a datafd fails, or nothing comes for [`PATIENCE`].
pub(crate) fn receive(data: &Datafd, acks: &Datafd) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        if !wait_readable(data, PATIENCE)? {
            bail!("host 2 received nothing for {} s", PATIENCE.as_secs());
        }
        loop {
            match data.recv(&mut buffer) {
                Ok(length) => received.take(&buffer[..length]),
                Err(Error::WouldBlock(_)) => break,
                // Removed: the demo is over.
                Err(Error::DatafdClosed(_) | Error::ChannelNotInUse(_)) => return Ok(received),
                Err(error) => return Err(error.into()),
            }
        }
        match acks.send(&received.acknowledgement().encode()) {
            // Lost, as any message may be: the pieces will be sent again and acknowledged again.
            Ok(_) | Err(Error::HostDown { .. } | Error::Send { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Longer than the sender goes on trying, so that it is the sender who says what went wrong.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn take(received: &mut Received, position: u64, bytes: &[u8]) -> u64 {
        let mut message = Vec::new();
        Piece { position, bytes }.encode(&mut message);
        received.take(&message);
        received.acknowledgement().position
    }

    #[test]
    fn pieces_count_once_and_in_order() {
        let mut received = Received::default();
        assert_eq!(take(&mut received, 0, b"abc"), 3);
        assert_eq!(take(&mut received, 6, b"ghi"), 3, "one is missing");
        assert_eq!(take(&mut received, 0, b"abc"), 3, "seen before");
        assert_eq!(take(&mut received, 3, b"def"), 6);
        assert_eq!(take(&mut received, 6, b"ghi"), 9);
        assert_eq!(take(&mut received, 9, b""), 10, "the end takes a position");
        received.take(b"short");
        assert_eq!(received.bytes, 9);
        assert_eq!(received.sha256(), format!("{:x}", Sha256::digest(b"abcdefghi")));
    }
}
