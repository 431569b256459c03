//! Pings and pongs, the heartbeat of a link (`docs/wire-format.md`, "Pings and pongs").

use crate::header::{self, COMMON_HEADER_LEN, PacketType};
use crate::{DecodeError, HostId, LinkId, SequenceNumber};

/// The length of a ping or pong in bytes.
pub const PING_LEN: usize = 26;

/// The contents of a ping, and of the pong that answers it.
///
/// # Examples
///
/// A pong returns the contents of its ping under the host id of the peer:
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
    /// The link. Both hosts use the same id for it.
    pub link: LinkId,
    /// Bytes that only the sender of the ping interprets.
    pub cookie: [u8; 16],
    /// The last sequence number that the sender of the ping used for data. Zero if it has sent no data
    /// since it started.
    pub sequence: SequenceNumber,
    /// Whether this is a periodic ping, as opposed to one forced by the progress of the sequence numbers.
    pub timed: bool,
}

impl Ping {
    /// Encodes a ping from `source`. Reserved bytes are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{HostId, LinkId, PING_LEN, Ping, SequenceNumber};
    ///
    /// let sequence = SequenceNumber::new(0x1234);
    /// let ping = Ping { link: LinkId::ALL[1], cookie: [9; 16], sequence, timed: true };
    /// let bytes = ping.encode_ping(HostId::new(0x0203));
    /// assert_eq!(bytes.len(), PING_LEN);
    /// assert_eq!(bytes[..7], [1, 0x81, 2, 3, 0, 0, 1]);
    /// assert_eq!(bytes[23..], [0x12, 0x34, 1]);
    /// ```
    #[must_use]
    pub fn encode_ping(&self, source: HostId) -> [u8; PING_LEN] {
        self.encode(PacketType::Ping, source)
    }

    /// Encodes the pong to this ping from `source`, the host that was pinged.
    ///
    /// Reserved bytes are zero, regardless of those of the ping. Receivers ignore them.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{HostId, LinkId, Ping, SequenceNumber};
    ///
    /// let sequence = SequenceNumber::ZERO;
    /// let ping = Ping { link: LinkId::ALL[1], cookie: [9; 16], sequence, timed: true };
    /// let (request, answer) = (ping.encode_ping(HostId::new(1)), ping.encode_pong(HostId::new(2)));
    /// assert_eq!((request[1], answer[1]), (0x81, 0x82));
    /// assert_eq!(request[4..], answer[4..]);
    /// ```
    #[must_use]
    pub fn encode_pong(&self, source: HostId) -> [u8; PING_LEN] {
        self.encode(PacketType::Pong, source)
    }

    /// Decodes a ping or pong behind its common header. Bytes after it are ignored.
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

    fn encode(&self, kind: PacketType, source: HostId) -> [u8; PING_LEN] {
        let mut packet = [0; PING_LEN];
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
        ] = &mut packet;
        [*version, *type_, *node_high, *node_low, _, _] = header::encode(kind, source);
        *link = self.link.get();
        *cookie = self.cookie;
        [*seq_high, *seq_low] = self.sequence.get().to_be_bytes();
        *timed = u8::from(self.timed);
        packet
    }
}
