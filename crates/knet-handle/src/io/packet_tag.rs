//! The QoS marking of a link as a tag, which the engine returns with each packet of the link.

use knet_engine::PacketTag;
use knet_transport::{Dscp, QosMarking};

/// Returns the tag for a marking. With `None` packets are marked as their socket is.
pub(crate) fn to_tag(marking: Option<QosMarking>) -> PacketTag {
    PacketTag(marking.map_or(AS_SOCKET, |QosMarking { priority, dscp }| {
        let priority = if priority { PRIORITY } else { 0 };
        OWN | priority | dscp.map_or(0, |dscp| HAS_DSCP | u32::from(dscp.get()))
    }))
}

/// Returns the marking for a tag, `None` for that of the socket.
pub(crate) fn from_tag(PacketTag(bits): PacketTag) -> Option<QosMarking> {
    if bits == AS_SOCKET {
        return None;
    }
    let code_point = Dscp::try_from(bits as u8);
    let dscp = code_point.ok().filter(|_| bits & HAS_DSCP != 0);
    Some(QosMarking { priority: bits & PRIORITY != 0, dscp })
}

/// Returns the marking of a control packet whose data packets have this one: with a priority, so that the queue of
/// a device that knows priorities lets it overtake data, and with the same bits on the wire.
pub(crate) fn of_control(marking: QosMarking) -> QosMarking {
    if marking.priority {
        return marking;
    }
    // Without a code point, a priority would set bits on the wire.
    QosMarking { priority: true, dscp: marking.dscp.or(Dscp::try_from(0).ok()) }
}

/// The tag of a new link.
const AS_SOCKET: u32 = 0;
// Above the byte of the code point.
const OWN: u32 = 1 << 8;
const PRIORITY: u32 = 1 << 9;
const HAS_DSCP: u32 = 1 << 10;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_marking_has_a_tag_of_its_own() {
        assert_eq!(from_tag(PacketTag::default()), None);
        let dscps = || (0..=63).map(|number| Some(Dscp::try_from(number).unwrap())).chain([None]);
        let marked = |priority| dscps().map(move |dscp| Some(QosMarking { priority, dscp }));
        let all: Vec<_> = marked(false).chain(marked(true)).chain([None]).collect();
        for &marking in &all {
            assert_eq!(from_tag(to_tag(marking)), marking);
        }
        let tags: HashSet<_> = all.iter().map(|&marking| to_tag(marking)).collect();
        assert_eq!(tags.len(), 2 * 65 + 1);
    }
}
