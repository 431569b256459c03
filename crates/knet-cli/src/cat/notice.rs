//! What two `knet cat` say to each other beside the data: how much was sent and how much was received.

use kronosnet::{Channel, HostId};

/// A message on the channel for notices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Notice {
    /// The host that it is for: the filter of the sender reads it.
    pub(crate) to: HostId,
    /// The random number of the sending side: one per process.
    pub(crate) sender: u64,
    pub(crate) body: Body,
}

/// The content of a notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// From a sender: so many messages were sent to you. Asks for a [`Body::Credit`].
    Probe { sent: u64 },
    /// From a receiver.
    Credit(Credit),
}

/// What a receiver has of a sender's messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Credit {
    /// The random number of the receiving side: one per process.
    pub(crate) receiver: u64,
    /// How many messages have arrived.
    pub(crate) arrived: u64,
    /// How many of them no longer take room.
    pub(crate) taken: u64,
    /// How much may be in flight, in bytes of memory of the receiver.
    pub(crate) window: u32,
    /// `true` if the receiver wants no more messages.
    pub(crate) done: bool,
}

impl Notice {
    /// Encodes the notice.
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let Self { to, sender, body } = *self;
        let (kind, credit) = match body {
            Body::Probe { sent } => {
                (PROBE, Credit { receiver: 0, arrived: sent, taken: 0, window: 0, done: false })
            }
            Body::Credit(credit) => (if credit.done { DONE } else { CREDIT }, credit),
        };
        let mut message = [0; LEN];
        let mut rest = &mut message[..];
        let fields: [&[u8]; 8] = [
            MAGIC,
            &[kind],
            &to.get().to_be_bytes(),
            &sender.to_be_bytes(),
            &credit.receiver.to_be_bytes(),
            &credit.arrived.to_be_bytes(),
            &credit.taken.to_be_bytes(),
            &credit.window.to_be_bytes(),
        ];
        for field in fields {
            let (place, after) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        }
        message
    }

    /// Decodes a notice. Returns `None` if the message is none, or is of another version.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let message: &[u8; LEN] = message.try_into().ok()?;
        let rest = message.strip_prefix(MAGIC)?;
        let (&[kind], rest) = rest.split_first_chunk()?;
        let (&to, rest) = rest.split_first_chunk()?;
        let (&sender, rest) = rest.split_first_chunk()?;
        let (&receiver, rest) = rest.split_first_chunk()?;
        let (&arrived, rest) = rest.split_first_chunk()?;
        let (&taken, rest) = rest.split_first_chunk()?;
        let window = u32::from_be_bytes(rest.try_into().ok()?);
        let arrived = u64::from_be_bytes(arrived);
        let body = match kind {
            PROBE => Body::Probe { sent: arrived },
            CREDIT | DONE => Body::Credit(Credit {
                receiver: u64::from_be_bytes(receiver),
                arrived,
                taken: u64::from_be_bytes(taken),
                window,
                done: kind == DONE,
            }),
            _ => return None,
        };
        let to = HostId::new(u16::from_be_bytes(to));
        Some(Self { to, sender: u64::from_be_bytes(sender), body })
    }
}

/// Returns the channel for notices that belongs to a channel for data.
pub(crate) fn channel(data: Channel) -> Channel {
    let count = Channel::ALL.len();
    // In range because of the remainder.
    Channel::ALL[(usize::from(data.get()) + count / 2) % count]
}

/// Its last byte is the version.
const MAGIC: &[u8] = b"knet cat\x01";
const PROBE: u8 = 0;
const CREDIT: u8 = 1;
const DONE: u8 = 2;
const LEN: usize = MAGIC.len() + 1 + 2 + 4 * 8 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let credit = Credit { receiver: 7, arrived: 6, taken: 5, window: 4, done: false };
        for body in [
            Body::Probe { sent: u64::MAX },
            Body::Credit(credit),
            Body::Credit(Credit { done: true, ..credit }),
        ] {
            let notice = Notice { to: HostId::new(300), sender: 1 << 40, body };
            assert_eq!(Notice::decode(&notice.encode()), Some(notice));
        }
    }

    #[test]
    fn other_messages_are_ignored() {
        let notice = Notice { to: HostId::new(1), sender: 1, body: Body::Probe { sent: 1 } };
        let message = notice.encode();
        assert_eq!(Notice::decode(&message[1..]), None);
        for place in [0, 8, 9] {
            let mut wrong = message;
            wrong[place] = 99;
            assert_eq!(Notice::decode(&wrong), None, "byte {place}");
        }
    }

    #[test]
    fn each_channel_has_its_own_for_notices() {
        for data in Channel::ALL {
            let notices = channel(data);
            assert_ne!(notices, data);
            assert_eq!(channel(notices), data);
        }
    }
}
