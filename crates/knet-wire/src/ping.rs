//! Pings and pongs, the heartbeat of a link (wire.md section 3.2).

use crate::header::{self, COMMON_HEADER_LEN, FrameType};
use crate::{DecodeError, HostId, LinkId, SequenceNumber};

/// Bytes of a ping or a pong.
pub const PING_LEN: usize = 26;

/// What a ping says, and the pong that answers it.
///
/// # Examples
///
/// A pong is its ping, sent back under one's own host id:
///
/// ```
/// use knet_wire::{Body, HostId, LinkId, Packet, Ping, SequenceNumber};
///
/// let ping = Ping {
///     link: LinkId::new(0)?,
///     cookie: *b"opaque to others",
///     sequence: SequenceNumber::ZERO,
///     timed: true,
/// };
/// let datagram = ping.encode_ping(HostId::new(1));
///
/// let Body::Ping(received) = Packet::decode(&datagram)?.body else { panic!("not a ping") };
/// let answer = received.encode_pong(HostId::new(2));
/// assert_eq!(Packet::decode(&answer)?.body, Body::Pong(ping));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ping {
    /// The link being watched, by the pinger's number, which is the responder's too.
    pub link: LinkId,
    /// Whatever the pinger put in; only the pinger interprets it.
    pub cookie: [u8; 16],
    /// The pinger's last used data sequence number; zero says that it has sent no data since it
    /// started.
    pub sequence: SequenceNumber,
    /// Whether this is the periodic ping, as against one forced by progress of the sequence.
    pub timed: bool,
}

impl Ping {
    /// Returns the frame that pings, sent by `source`. Reserved bytes are zero.
    #[must_use]
    pub fn encode_ping(&self, source: HostId) -> [u8; PING_LEN] {
        self.encode(FrameType::Ping, source)
    }

    /// Returns the frame that answers this ping, sent by `source`, the host that was pinged.
    ///
    /// Reserved bytes are zero, whatever they were in the ping: nobody reads them.
    #[must_use]
    pub fn encode_pong(&self, source: HostId) -> [u8; PING_LEN] {
        self.encode(FrameType::Pong, source)
    }

    /// Reads what follows the common header of a ping or a pong; bytes after it are ignored.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let Some(&[link, cookie @ .., seq_high, seq_low, timed]) =
            body.first_chunk::<{ PING_LEN - COMMON_HEADER_LEN }>()
        else {
            let have = COMMON_HEADER_LEN + body.len();
            return Err(DecodeError::Truncated { need: PING_LEN, have });
        };
        Ok(Self {
            link: LinkId::new(link)?,
            cookie,
            sequence: SequenceNumber::new(u16::from_be_bytes([seq_high, seq_low])),
            timed: timed != 0,
        })
    }

    fn encode(&self, kind: FrameType, source: HostId) -> [u8; PING_LEN] {
        let mut frame = [0; PING_LEN];
        let [
            version,
            type_,
            node_high,
            node_low,
            _,
            _,
            link,
            cookie @ ..,
            seq_high,
            seq_low,
            timed,
        ] = &mut frame;
        [*version, *type_, *node_high, *node_low, _, _] = header::encode(kind, source);
        *link = self.link.get();
        *cookie = self.cookie;
        [*seq_high, *seq_low] = self.sequence.get().to_be_bytes();
        *timed = u8::from(self.timed);
        frame
    }
}
