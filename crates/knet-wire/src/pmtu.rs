//! Path-MTU probes and their replies (wire.md sections 3.3 and 3.4).

use crate::header::{self, COMMON_HEADER_LEN, FrameType};
use crate::{DecodeError, EINVAL, HostId, LinkId};

/// Bytes of a probe without its filler, and of a whole reply.
pub const PMTU_HEADER_LEN: usize = 9;

/// What a path-MTU probe says, and the reply that acknowledges it.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, HostId, LinkId, Packet, Pmtu};
///
/// let probe = Pmtu { link: LinkId::new(0)?, onwire: 1500_u16.to_ne_bytes() };
/// let mut frame = [0; 1472];
/// probe.encode_probe(HostId::new(2), &mut frame)?;
///
/// let reply = probe.encode_reply(HostId::new(1));
/// assert_eq!(Packet::decode(&frame)?.body, Body::PmtuProbe(probe));
/// assert_eq!(Packet::decode(&reply)?.body, Body::PmtuReply(probe));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Pmtu {
    /// The link being measured, by the prober's number, which is the responder's too.
    pub link: LinkId,
    /// The probe's size as the prober wrote it: the bytes of its whole IP packet, in the prober's own
    /// byte order. The responder returns it as it came; only the prober interprets it.
    pub onwire: [u8; 2],
}

impl Pmtu {
    /// Writes a probe, sent by `source`, that fills `frame`: the header, then zeros to its end.
    ///
    /// # Errors
    ///
    /// [`ProbeTooShort`] if `frame` has fewer than [`PMTU_HEADER_LEN`] bytes; it is left as it was.
    pub fn encode_probe(&self, source: HostId, frame: &mut [u8]) -> Result<(), ProbeTooShort> {
        let have = frame.len();
        let Some((header, filler)) = frame.split_first_chunk_mut::<PMTU_HEADER_LEN>() else {
            return Err(ProbeTooShort { have });
        };
        *header = self.encode(FrameType::PmtuProbe, source);
        filler.fill(0);
        Ok(())
    }

    /// Returns the frame that acknowledges this probe, sent by `source`, the host that was probed.
    #[must_use]
    pub const fn encode_reply(&self, source: HostId) -> [u8; PMTU_HEADER_LEN] {
        self.encode(FrameType::PmtuReply, source)
    }

    /// Reads what follows the common header of a probe or a reply; bytes after it are ignored.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let Some(&[link, onwire @ ..]) =
            body.first_chunk::<{ PMTU_HEADER_LEN - COMMON_HEADER_LEN }>()
        else {
            let have = COMMON_HEADER_LEN + body.len();
            return Err(DecodeError::Truncated { need: PMTU_HEADER_LEN, have });
        };
        Ok(Self { link: LinkId::new(link)?, onwire })
    }

    const fn encode(&self, kind: FrameType, source: HostId) -> [u8; PMTU_HEADER_LEN] {
        let [version, kind, node_high, node_low, pad1, pad2] = header::encode(kind, source);
        let [size1, size2] = self.onwire;
        [version, kind, node_high, node_low, pad1, pad2, self.link.get(), size1, size2]
    }
}

/// The frame cannot hold a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a path-mtu probe does not fit in {have} bytes, give 9 or more")]
pub struct ProbeTooShort {
    /// Bytes in the frame.
    pub have: usize,
}

impl ProbeTooShort {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}
