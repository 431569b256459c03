//! The messages between two `knet check` processes: small JSON objects on a channel of their own.
//!
//! Every version has the fields of [`Header`]. A receiver ignores unknown fields.

use kronosnet::{HostId, LinkId};
use serde::{Deserialize, Serialize};

/// The fields of every version.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Header {
    /// The version.
    knet_check: u32,
    from: u16,
    to: u16,
}

/// What a host reports about its links to another host.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    knet_check: u32,
    from: u16,
    to: u16,
    /// `true` if the report is final.
    pub(crate) done: bool,
    /// `true` if the sender has received the final report of the receiver.
    pub(crate) has_yours: bool,
    pub(crate) links: Vec<LinkReport>,
}

/// What a host reports about a link.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LinkReport {
    pub(crate) link: u8,
    /// `true` if it is up, or was up when its test ended.
    pub(crate) up: bool,
    /// Pings that were counted, and how many of them were answered.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// The mean round-trip time, in microseconds.
    pub(crate) latency_us: Option<u64>,
    pub(crate) path_mtu: Option<usize>,
    /// Pings received from the other host.
    pub(crate) heard: u64,
}

/// A decoded message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Report {
        from: HostId,
        report: Report,
    },
    /// From an incompatible version of `knet check`.
    OtherVersion {
        from: HostId,
    },
    /// Not a message of `knet check`, or not for us.
    Invalid,
}

impl Report {
    /// The version of the messages that we send and understand.
    const VERSION: u32 = 1;

    /// Creates a report that does not acknowledge the receiver's.
    pub(crate) fn new(from: HostId, to: HostId, done: bool, links: Vec<LinkReport>) -> Self {
        let (from, to) = (from.get(), to.get());
        Self { knet_check: Self::VERSION, from, to, done, has_yours: false, links }
    }

    /// Encodes the report: about a hundred bytes per link, for at most eight links.
    ///
    /// # Errors
    /// None in practice: there are no maps and no floating-point numbers.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Returns what the report contains about a link.
    pub(crate) fn link(&self, id: LinkId) -> Option<&LinkReport> {
        self.links.iter().find(|link| link.link == id.get())
    }
}

/// Decodes a message from the channel. The bytes are untrusted.
pub(crate) fn decode(own: HostId, bytes: &[u8]) -> Message {
    let Ok(Header { knet_check, from, to }) = serde_json::from_slice(bytes) else {
        return Message::Invalid;
    };
    let from = HostId::new(from);
    if to != own.get() || from == own {
        return Message::Invalid;
    }
    if knet_check != Report::VERSION {
        return Message::OtherVersion { from };
    }
    match serde_json::from_slice(bytes) {
        Ok(report) => Message::Report { from, report },
        Err(_) => Message::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: HostId = HostId::new(1);
    const TWO: HostId = HostId::new(2);

    fn report() -> Report {
        let link = LinkReport {
            link: 1,
            up: true,
            sent: 50,
            answered: 49,
            latency_us: Some(83),
            path_mtu: None,
            heard: 3,
        };
        Report::new(TWO, ONE, true, vec![link])
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let bytes = report().encode().unwrap();
        assert_eq!(decode(ONE, &bytes), Message::Report { from: TWO, report: report() });
        assert_eq!(report().link(LinkId::new(1).unwrap()), Some(&report().links[0]));
        assert_eq!(report().link(LinkId::new(0).unwrap()), None);
    }

    #[test]
    fn messages_of_other_versions_are_distinguished_from_garbage() {
        let later = br#"{"knet_check":2,"from":2,"to":1,"news":[{}]}"#;
        assert_eq!(decode(ONE, later), Message::OtherVersion { from: TWO });
        let known = String::from_utf8(report().encode().unwrap()).unwrap();
        let more = known.replace("\"done\"", "\"new\":{\"x\":[1]},\"done\"");
        assert_eq!(decode(ONE, more.as_bytes()), Message::Report { from: TWO, report: report() });
    }

    #[test]
    fn messages_for_others_and_garbage_are_invalid() {
        let bytes = report().encode().unwrap();
        assert_eq!(decode(TWO, &bytes), Message::Invalid, "our own");
        assert_eq!(decode(HostId::new(3), &bytes), Message::Invalid, "somebody else's");
        let nonsense: [&[u8]; 6] = [
            b"",
            b"hello\n",
            b"{}",
            br#"{"knet_check":1,"from":2,"to":1}"#,
            br#"{"knet_check":1,"from":70000,"to":1,"done":true,"has_yours":true,"links":[]}"#,
            &[b'['; 65_536],
        ];
        for bytes in nonsense {
            assert_eq!(decode(ONE, bytes), Message::Invalid);
        }
        for cut in 0..bytes.len() {
            assert_eq!(decode(ONE, &bytes[..cut]), Message::Invalid);
        }
    }

    #[test]
    fn random_changes_never_panic() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut bytes = report().encode().unwrap();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let _ = decode(ONE, &bytes);
        }
    }
}
