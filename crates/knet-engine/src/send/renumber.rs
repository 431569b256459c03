//! New numbers for messages that wait to leave while others overtake them.

use knet_wire::SequenceNumber;

/// The packets of one message for one host over one link, as far as numbering is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by the driver for every copy that waits")]
pub struct WaitingCopy {
    /// Which message it is: any value that the copies of one message share.
    pub message: usize,
    /// Which host it is for: any value that the copies of one message for one host share.
    pub host: usize,
    /// Whether one of its packets waits and has been overtaken
    /// ([`PacketAge::Overtaken`](crate::PacketAge::Overtaken) or older).
    pub is_overtaken: bool,
    /// Whether one of its packets has left.
    pub has_left: bool,
}

/// Returns the new number of each copy, or `None` for those that keep the number they have.
///
/// A message gets a new number for a host if one of its copies for that host is overtaken. It keeps
/// its number for that host if a packet of one of these copies has left: the host assembles the
/// fragments of a message, and recognizes its duplicates, by its number. All hosts for which a
/// message is renumbered share one new number, which is taken from `next_number`.
///
/// Copies of one message must be next to each other in `copies`, and within a message those for one
/// host.
///
/// # Examples
///
/// ```
/// use knet_engine::{SequenceCounter, WaitingCopy, renumber};
///
/// let counter = SequenceCounter::new();
/// let waiting = WaitingCopy { message: 0, host: 0, is_overtaken: true, has_left: false };
/// let left = WaitingCopy { host: 1, has_left: true, ..waiting };
/// let numbers = renumber(&[waiting, left], || counter.next());
/// assert_eq!(numbers, [Some(counter.current()), None]);
/// ```
pub fn renumber(
    copies: &[WaitingCopy],
    mut next_number: impl FnMut() -> SequenceNumber,
) -> Vec<Option<SequenceNumber>> {
    let mut numbers = Vec::with_capacity(copies.len());
    for message in copies.chunk_by(|one, two| one.message == two.message) {
        let mut number = None;
        for host in message.chunk_by(|one, two| one.host == two.host) {
            let is_overtaken = host.iter().any(|copy| copy.is_overtaken);
            let has_left = host.iter().any(|copy| copy.has_left);
            let new =
                (is_overtaken && !has_left).then(|| *number.get_or_insert_with(&mut next_number));
            numbers.extend(host.iter().map(|_| new));
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Messages for some hosts over some links each.
    fn copies() -> impl Strategy<Value = Vec<WaitingCopy>> {
        let host = vec(any::<(bool, bool)>(), 1..4);
        vec(vec(host, 1..4), 0..5).prop_map(|messages| {
            let mut copies = Vec::new();
            for (message, hosts) in messages.into_iter().enumerate() {
                for (host, links) in hosts.into_iter().enumerate() {
                    copies.extend(links.into_iter().map(|(is_overtaken, has_left)| WaitingCopy {
                        message,
                        host,
                        is_overtaken,
                        has_left,
                    }));
                }
            }
            copies
        })
    }

    proptest! {
        #[test]
        fn a_message_has_one_number_for_each_host_and_one_new_number_at_most(copies in copies()) {
            let mut taken = 0u16;
            let numbers = renumber(&copies, || {
                taken += 1;
                SequenceNumber::new(taken)
            });
            prop_assert_eq!(numbers.len(), copies.len());
            let mut new = BTreeMap::new();
            for (copy, number) in copies.iter().zip(&numbers) {
                let of_host = || copies.iter().filter(|other| {
                    (other.message, other.host) == (copy.message, copy.host)
                });
                let wanted = of_host().any(|other| other.is_overtaken)
                    && !of_host().any(|other| other.has_left);
                prop_assert_eq!(number.is_some(), wanted);
                if let Some(number) = number {
                    prop_assert_eq!(new.entry(copy.message).or_insert(*number), number);
                }
            }
            prop_assert_eq!(new.len(), usize::from(taken), "no number is taken in vain");
            prop_assert!(new.values().map(|number| number.get()).eq(1..=taken), "in order");
        }
    }
}
