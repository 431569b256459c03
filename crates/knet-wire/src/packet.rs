//! A whole frame, whatever its type.

use crate::header::{self, FrameType};
use crate::{Data, DecodeError, HostId, Ping, Pmtu};

/// A frame and who sent it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Packet<'a> {
    /// The host that sent the frame, by its own word.
    pub source: HostId,
    /// What the frame says.
    pub body: Body<'a>,
}

/// What a frame says, by its type (wire.md section 3). The enum is complete: format 1 has no sixth
/// type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Body<'a> {
    /// A message, or a fragment of one.
    Data(Data<'a>),
    /// "Are you there?"
    Ping(Ping),
    /// The answer to a ping of ours.
    Pong(Ping),
    /// "Does a packet of this size arrive?"
    PmtuProbe(Pmtu),
    /// The answer to a probe of ours.
    PmtuReply(Pmtu),
}

impl<'a> Packet<'a> {
    /// Reads a datagram, already decrypted.
    ///
    /// Frames are held to the strict rules of wire.md sections 3.5 and 5.3, those that a single frame
    /// can break. Ignored are the reserved bytes, whatever follows a ping, pong or reply of full
    /// length, the filler of a probe, and the fragment index of a message that is whole. The
    /// broadcast and timed flags are set if they are not zero. It looks at a fixed number of bytes
    /// and copies no payload.
    ///
    /// # Errors
    ///
    /// For any frame:
    ///
    /// - [`DecodeError::Truncated`] under 6 bytes, or under 14 for data, 26 for a ping or pong, 9 for
    ///   a probe or reply;
    /// - [`DecodeError::Version`] for a version other than 1;
    /// - [`DecodeError::UnknownType`] for a type not among those of [`Body`].
    ///
    /// For control frames, [`DecodeError::Link`] for a link id of 8 or more. For data frames:
    ///
    /// - [`DecodeError::ZeroSequence`] for sequence number 0;
    /// - [`DecodeError::Compression`] for a compression above 7;
    /// - [`DecodeError::Fragment`] for a fragment that [`FragmentPart::new`] refuses;
    /// - [`DecodeError::Channel`] for a channel outside 0 to 31;
    /// - [`DecodeError::EmptyPayload`] if nothing follows the header;
    /// - [`DecodeError::PayloadTooLong`] if more than 65536 bytes do.
    ///
    /// [`FragmentPart::new`]: crate::FragmentPart::new
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (kind, source, body) = header::decode(datagram)?;
        let body = match kind {
            FrameType::Data => Body::Data(Data::decode(body)?),
            FrameType::Ping => Body::Ping(Ping::decode(body)?),
            FrameType::Pong => Body::Pong(Ping::decode(body)?),
            FrameType::PmtuProbe => Body::PmtuProbe(Pmtu::decode(body)?),
            FrameType::PmtuReply => Body::PmtuReply(Pmtu::decode(body)?),
        };
        Ok(Self { source, body })
    }
}
