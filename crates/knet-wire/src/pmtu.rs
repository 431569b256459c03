//! Path MTU probes and their replies (`docs/wire-format.md`, "Probes and replies").

use crate::header::{self, COMMON_HEADER_LEN, PacketType};
use crate::{DecodeError, EINVAL, HostId, LinkId};

/// The length of a probe without its filler, and of a reply, in bytes.
pub const PMTU_HEADER_LEN: usize = 9;

/// The contents of a path MTU probe, and of the reply that acknowledges it.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, HostId, LinkId, Packet, Pmtu};
///
/// let probe = Pmtu { link: LinkId::new(0)?, cookie: [0xdc, 0x05] };
/// let mut packet = [0; 1472];
/// probe.encode_probe(HostId::new(2), &mut packet)?;
///
/// let reply = probe.encode_reply(HostId::new(1));
/// assert_eq!(Packet::decode(&packet)?.body, Body::PmtuProbe(probe));
/// assert_eq!(Packet::decode(&reply)?.body, Body::PmtuReply(probe));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Pmtu {
    /// The link. Both hosts use the same id for it.
    pub link: LinkId,
    /// What shows the prober which probe a reply belongs to. The peer returns it unchanged, and only the
    /// prober interprets it. libknet writes the length of the probe's IP packet in bytes, in its byte order.
    pub cookie: [u8; 2],
}

impl Pmtu {
    /// Encodes a probe from `source` that fills `packet`: the header, then zeros.
    ///
    /// # Errors
    ///
    /// [`ProbeTooShort`] if `packet` has less than [`PMTU_HEADER_LEN`] bytes, in which case it is
    /// unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{HostId, LinkId, Pmtu};
    ///
    /// let probe = Pmtu { link: LinkId::ALL[2], cookie: [0xdc, 0x05] };
    /// let mut packet = [0xff; 12];
    /// probe.encode_probe(HostId::new(1), &mut packet)?;
    /// assert_eq!(packet, [1, 0x83, 0, 1, 0, 0, 2, 0xdc, 0x05, 0, 0, 0]);
    /// # Ok::<(), knet_wire::ProbeTooShort>(())
    /// ```
    pub fn encode_probe(&self, source: HostId, packet: &mut [u8]) -> Result<(), ProbeTooShort> {
        let have = packet.len();
        let Some((header, filler)) = packet.split_first_chunk_mut::<PMTU_HEADER_LEN>() else {
            return Err(ProbeTooShort { have });
        };
        *header = self.encode(PacketType::PmtuProbe, source);
        filler.fill(0);
        Ok(())
    }

    /// Encodes the reply to this probe from `source`, the host that was probed.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{HostId, LinkId, Pmtu};
    ///
    /// let probe = Pmtu { link: LinkId::ALL[2], cookie: [0xdc, 0x05] };
    /// assert_eq!(probe.encode_reply(HostId::new(1)), [1, 0x84, 0, 1, 0, 0, 2, 0xdc, 0x05]);
    /// ```
    #[must_use]
    pub const fn encode_reply(&self, source: HostId) -> [u8; PMTU_HEADER_LEN] {
        self.encode(PacketType::PmtuReply, source)
    }

    /// Decodes a probe or reply behind its common header. Bytes after it are ignored.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let Some(&[link, cookie @ ..]) =
            body.first_chunk::<{ PMTU_HEADER_LEN - COMMON_HEADER_LEN }>()
        else {
            let have = COMMON_HEADER_LEN + body.len();
            return Err(DecodeError::Truncated { need: PMTU_HEADER_LEN, have });
        };
        Ok(Self { link: LinkId::new(link)?, cookie })
    }

    const fn encode(&self, kind: PacketType, source: HostId) -> [u8; PMTU_HEADER_LEN] {
        let [version, kind, node_high, node_low, pad1, pad2] = header::encode(kind, source);
        let [cookie1, cookie2] = self.cookie;
        [version, kind, node_high, node_low, pad1, pad2, self.link.get(), cookie1, cookie2]
    }
}

/// The error of [`Pmtu::encode_probe`].
///
/// # Examples
///
/// ```
/// use knet_wire::{HostId, LinkId, Pmtu, ProbeTooShort};
///
/// let probe = Pmtu { link: LinkId::ALL[0], cookie: [0, 0] };
/// let error = probe.encode_probe(HostId::new(1), &mut [0; 8]).unwrap_err();
/// assert_eq!(error, ProbeTooShort { have: 8 });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a path MTU probe does not fit in {have} bytes, use 9 or more")]
pub struct ProbeTooShort {
    /// The length of the buffer in bytes.
    pub have: usize,
}

impl ProbeTooShort {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}
