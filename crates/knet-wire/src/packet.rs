//! Packets of any type.

use crate::header::{self, PacketType};
use crate::{Data, DecodeError, HostId, Ping, Pmtu};

/// A packet.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, HostId, LinkId, Packet, Ping, SequenceNumber};
///
/// let ping = Ping {
///     link: LinkId::new(1)?,
///     cookie: [7; 16],
///     sequence: SequenceNumber::ZERO,
///     timed: true,
/// };
/// let datagram = ping.encode_ping(HostId::new(3));
/// let packet = Packet::decode(&datagram)?;
/// assert_eq!(packet, Packet { source: HostId::new(3), body: Body::Ping(ping) });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Packet<'a> {
    /// The host that sent the packet, according to the packet.
    pub source: HostId,
    /// The contents.
    pub body: Body<'a>,
}

/// The contents of a packet by its type. The enum is exhaustive, because version 1 of the format has no
/// other types.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, HostId, LinkId, Packet, Pmtu};
///
/// let probe = Pmtu { link: LinkId::ALL[0], cookie: [0xdc, 0x05] };
/// let reply = probe.encode_reply(HostId::new(3));
/// let text = match Packet::decode(&reply)?.body {
///     Body::Data(data) => format!("{} bytes", data.payload.len()),
///     Body::Ping(ping) | Body::Pong(ping) => format!("heartbeat of link {}", ping.link),
///     Body::PmtuProbe(_) => "probe".to_owned(),
///     Body::PmtuReply(reply) => format!("reply on link {}", reply.link),
/// };
/// assert_eq!(text, "reply on link 0");
/// # Ok::<(), knet_wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Body<'a> {
    /// A message, or a fragment of one.
    Data(Data<'a>),
    /// A request that the peer answers with a pong.
    Ping(Ping),
    /// The answer to a ping.
    Pong(Ping),
    /// A test of whether a packet of this length arrives.
    PmtuProbe(Pmtu),
    /// The answer to a probe.
    PmtuReply(Pmtu),
}

impl<'a> Packet<'a> {
    /// Decodes a datagram that has already been decrypted.
    ///
    /// Validates a packet by the rules in `docs/wire-format.md`, "Receiver checks". Ignores the reserved
    /// bytes, the filler of a probe, bytes after a ping, pong or reply, and the fragment index of an
    /// unfragmented message. The broadcast and timed flags are set if they are not zero. Reads a fixed
    /// number of bytes and does not copy the payload.
    ///
    /// # Errors
    ///
    /// For any packet:
    ///
    /// - [`DecodeError::Truncated`] for less than 6 bytes, or less than 14 for data, 26 for a ping or
    ///   pong, 9 for a probe or reply;
    /// - [`DecodeError::Version`] for a version other than 1;
    /// - [`DecodeError::UnknownType`] for a type that is not in [`Body`].
    ///
    /// For control packets, [`DecodeError::Link`] for a link id of 8 or more. For data packets:
    ///
    /// - [`DecodeError::ZeroSequence`] for sequence number 0;
    /// - [`DecodeError::Compression`] for a compression method above 7;
    /// - [`DecodeError::Fragment`] for a fragment that [`FragmentPart::new`] rejects;
    /// - [`DecodeError::Channel`] for a channel outside 0 to 31;
    /// - [`DecodeError::EmptyPayload`] if nothing follows the header;
    /// - [`DecodeError::PayloadTooLong`] if more than 65536 bytes follow it.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{DecodeError, Packet};
    ///
    /// assert_eq!(Packet::decode(&[1, 0]), Err(DecodeError::Truncated { need: 6, have: 2 }));
    /// assert_eq!(Packet::decode(&[2; 32]), Err(DecodeError::Version { found: 2 }));
    /// ```
    ///
    /// [`FragmentPart::new`]: crate::FragmentPart::new
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (kind, source, body) = header::decode(datagram)?;
        let body = match kind {
            PacketType::Data => Body::Data(Data::decode(body)?),
            PacketType::Ping => Body::Ping(Ping::decode(body)?),
            PacketType::Pong => Body::Pong(Ping::decode(body)?),
            PacketType::PmtuProbe => Body::PmtuProbe(Pmtu::decode(body)?),
            PacketType::PmtuReply => Body::PmtuReply(Pmtu::decode(body)?),
        };
        Ok(Self { source, body })
    }
}
