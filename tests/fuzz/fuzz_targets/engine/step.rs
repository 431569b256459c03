//! What may happen to the three engines. Numbers are taken modulo what there is.

use arbitrary::{Arbitrary, Unstructured};

/// Steps for as long as there is input: a vector would end at every other byte that follows a step.
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

/// What happens next.
#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    /// Time passes, and all that is due happens.
    Wait {
        ms: u16,
    },
    /// A clock steps back.
    Rewind {
        ms: u8,
    },
    /// A packet on its way arrives: which one of them comes from the input.
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
    /// As if it came from another host, from elsewhere, on another link, or from a stranger.
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
    /// The kernel did not let a ping leave.
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
    /// A host is elsewhere from now on, for those who do not know where.
    Relocate {
        host: u8,
        place: u8,
    },
    Clear {
        at: u8,
        peer: u8,
        link: u8,
    },
    /// A link that was cleared is there again.
    Add {
        at: u8,
        peer: u8,
        link: u8,
    },
    /// A link to oneself comes, or goes.
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

/// An entry of an access list: about one host or all, in one place or in all up to another.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) accept: bool,
    pub(crate) kind: u8,
    pub(crate) host: u8,
    pub(crate) place: u8,
    pub(crate) last: u8,
}
