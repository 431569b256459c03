//! What two `knet check` tell each other: small messages of JSON on a channel of their own.
//!
//! Every version begins with the fields of [`Header`]; a reader ignores what it does not know.

use kronosnet::{HostId, LinkId};
use serde::{Deserialize, Serialize};

/// What every version of a message has.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Header {
    /// The version.
    knet_check: u32,
    from: u16,
    to: u16,
}

/// What one host sees of its links to another.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    knet_check: u32,
    from: u16,
    to: u16,
    /// Whether it will see nothing more.
    pub(crate) done: bool,
    /// Whether it has got such a report from the one that it is for.
    pub(crate) has_yours: bool,
    pub(crate) links: Vec<LinkReport>,
}

/// What a host sees of a link.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LinkReport {
    pub(crate) link: u8,
    /// Whether it is up, or was when its test ended.
    pub(crate) up: bool,
    /// Pings that were counted, and how many of them were answered.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// The mean round trip, in microseconds.
    pub(crate) latency_us: Option<u64>,
    pub(crate) path_mtu: Option<usize>,
    /// Pings of the other host that arrived.
    pub(crate) heard: u64,
}

/// What a message turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Report {
        from: HostId,
        report: Report,
    },
    /// From a `knet check` that we do not understand.
    OtherVersion {
        from: HostId,
    },
    /// Nothing of ours, or not for us.
    Strange,
}

impl Report {
    /// The version that this one speaks.
    const VERSION: u32 = 1;

    pub(crate) fn new(from: HostId, to: HostId, done: bool, links: Vec<LinkReport>) -> Self {
        let (from, to) = (from.get(), to.get());
        Self { knet_check: Self::VERSION, from, to, done, has_yours: false, links }
    }

    /// The bytes to send: about a hundred for each of at most eight links.
    ///
    /// # Errors
    /// None that can happen: it has no maps and no floating point.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// What it says of a link.
    pub(crate) fn link(&self, id: LinkId) -> Option<&LinkReport> {
        self.links.iter().find(|link| link.link == id.get())
    }
}

/// Looks at bytes that came over the channel. Anybody may have sent them.
pub(crate) fn decode(own: HostId, bytes: &[u8]) -> Message {
    let Ok(Header { knet_check, from, to }) = serde_json::from_slice(bytes) else {
        return Message::Strange;
    };
    let from = HostId::new(from);
    if to != own.get() || from == own {
        return Message::Strange;
    }
    if knet_check != Report::VERSION {
        return Message::OtherVersion { from };
    }
    match serde_json::from_slice(bytes) {
        Ok(report) => Message::Report { from, report },
        Err(_) => Message::Strange,
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
    fn what_is_sent_is_understood() {
        let bytes = report().encode().unwrap();
        assert_eq!(decode(ONE, &bytes), Message::Report { from: TWO, report: report() });
        assert_eq!(report().link(LinkId::new(1).unwrap()), Some(&report().links[0]));
        assert_eq!(report().link(LinkId::new(0).unwrap()), None);
    }

    #[test]
    fn messages_of_other_versions_are_told_from_garbage() {
        let later = br#"{"knet_check":2,"from":2,"to":1,"news":[{}]}"#;
        assert_eq!(decode(ONE, later), Message::OtherVersion { from: TWO });
        let known = String::from_utf8(report().encode().unwrap()).unwrap();
        let more = known.replace("\"done\"", "\"new\":{\"x\":[1]},\"done\"");
        assert_eq!(decode(ONE, more.as_bytes()), Message::Report { from: TWO, report: report() });
    }

    #[test]
    fn what_is_not_for_us_or_nonsense_is_strange() {
        let bytes = report().encode().unwrap();
        assert_eq!(decode(TWO, &bytes), Message::Strange, "our own");
        assert_eq!(decode(HostId::new(3), &bytes), Message::Strange, "somebody else's");
        let nonsense: [&[u8]; 6] = [
            b"",
            b"hello\n",
            b"{}",
            br#"{"knet_check":1,"from":2,"to":1}"#,
            br#"{"knet_check":1,"from":70000,"to":1,"done":true,"has_yours":true,"links":[]}"#,
            &[b'['; 65_536],
        ];
        for bytes in nonsense {
            assert_eq!(decode(ONE, bytes), Message::Strange);
        }
        for cut in 0..bytes.len() {
            assert_eq!(decode(ONE, &bytes[..cut]), Message::Strange);
        }
    }

    #[test]
    fn random_changes_never_break_it() {
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
