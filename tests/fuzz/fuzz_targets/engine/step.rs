//! Steps of the three engines. Numbers are taken modulo the number of existing items.

use arbitrary::{Arbitrary, Unstructured};

/// Steps until the input ends. A vector would end at every second byte that follows a step.
#[derive(Debug)]
pub(crate) struct Steps(pub(crate) Vec<Step>);

impl<'a> Arbitrary<'a> for Steps {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut steps = Vec::new();
        while !input.is_empty() && steps.len() < MAX_STEPS {
            steps.push(input.arbitrary()?);
        }
        Ok(Self(steps))
    }
}

/// Longer inputs find nothing that shorter ones do not.
const MAX_STEPS: usize = 400;

/// The next step.
#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    /// Time passes, and everything that is due is done.
    Wait {
        ms: u16,
    },
    /// A clock steps back.
    Rewind {
        ms: u8,
    },
    /// A packet in transit arrives; the input determines which.
    Deliver {
        nth: u8,
    },
    DeliverAll,
    Copy {
        nth: u8,
    },
    Lose {
        nth: u8,
    },
    Change {
        nth: u8,
        at: u16,
        to: u8,
    },
    Cut {
        nth: u8,
        to: u16,
    },
    /// The packet is changed to come from another host or address, on another link, or from a
    /// stranger.
    Move {
        nth: u8,
        from: u8,
        place: u8,
        to: u8,
        link: u8,
    },
    Forge {
        from: u8,
        place: u8,
        to: u8,
        link: u8,
        datagram: Vec<u8>,
    },
    /// A data packet with these fields.
    Data {
        from: u8,
        to: u8,
        link: u8,
        sequence: u16,
        index: u8,
        count: u8,
        channel: u8,
        len: u16,
    },
    Send {
        from: u8,
        len: u16,
    },
    Skip {
        from: u8,
        numbers: u16,
    },
    ForcePings {
        at: u8,
    },
    Enable {
        at: u8,
        peer: u8,
        link: u8,
        on: bool,
    },
    Policy {
        at: u8,
        peer: u8,
        policy: u8,
    },
    ManualMtu {
        at: u8,
        mtu: Option<u16>,
    },
    Refused {
        at: u8,
        peer: u8,
        link: u8,
        size: u16,
    },
    Limit {
        at: u8,
        peer: u8,
        link: u8,
        limit: u32,
        sure: bool,
    },
    /// The kernel refused to send a ping.
    PingRefused {
        at: u8,
        peer: u8,
        link: u8,
        errno: i32,
    },
    Unreachable {
        at: u8,
        peer: u8,
        link: u8,
        errno: i32,
    },
    /// A host moves to another address on its peers' dynamic links.
    Relocate {
        host: u8,
        place: u8,
    },
    Clear {
        at: u8,
        peer: u8,
        link: u8,
    },
    /// A cleared link is added again.
    Add {
        at: u8,
        peer: u8,
        link: u8,
    },
    /// A link to the host itself is added or removed.
    Loopback {
        at: u8,
        on: bool,
    },
    Insert {
        at: u8,
        peer: u8,
        link: u8,
        index: u8,
        entry: Entry,
    },
    Remove {
        at: u8,
        peer: u8,
        link: u8,
        entry: Entry,
    },
    ClearList {
        at: u8,
        peer: u8,
        link: u8,
    },
    AccessLists {
        at: u8,
        on: bool,
    },
}

/// An entry of an access list: about one host or all, for one address or a range of them.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) accept: bool,
    pub(crate) kind: u8,
    pub(crate) host: u8,
    pub(crate) place: u8,
    pub(crate) last: u8,
}
