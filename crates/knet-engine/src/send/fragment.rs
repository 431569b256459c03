//! Fragmentation of a message into packets (`docs/wire-format.md`, "Fragments").

use std::ops::Range;

use knet_wire::{Fragment, FragmentPart, MAX_FRAGMENTS};

use crate::errno::EMSGSIZE;

/// The packets of a message, and the bytes that each of them carries.
///
/// Every packet carries as many bytes as the data MTU allows, and the last one the rest. A plan
/// consists of three numbers: it allocates nothing, holds no bytes, and returns any packet in
/// constant time.
///
/// # Examples
///
/// ```
/// use knet_engine::FragmentPlan;
///
/// let message = [0u8; 200];
/// let plan = FragmentPlan::new(message.len(), 74)?;
/// let sizes: Vec<usize> = plan.iter().map(|(_, bytes)| message[bytes].len()).collect();
/// assert_eq!(sizes, [74, 74, 52]);
/// # Ok::<(), knet_engine::TooManyFragments>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FragmentPlan {
    len: usize,
    /// Bytes in every packet but the last, at least 1.
    mtu: usize,
    /// 1 to [`MAX_FRAGMENTS`].
    count: u8,
}

impl FragmentPlan {
    /// Plans a message of `len` bytes in packets of at most `mtu` bytes of payload.
    ///
    /// `len` is the length on the wire, 1 to [`MAX_MESSAGE`](knet_wire::MAX_MESSAGE): the
    /// compressed length if the message is compressed. `mtu` is the data MTU, at least 1; 0 counts
    /// as 1. A message that fits into one packet, as an empty one does, is not fragmented.
    ///
    /// # Errors
    ///
    /// [`TooManyFragments`] if more than [`MAX_FRAGMENTS`] packets would be needed. That never
    /// happens with an MTU of 259 or more.
    pub fn new(len: usize, mtu: usize) -> Result<Self, TooManyFragments> {
        let mtu = mtu.max(1);
        let needed = len.div_ceil(mtu).max(1);
        match u8::try_from(needed) {
            Ok(count) if count <= MAX_FRAGMENTS => Ok(Self { len, mtu, count }),
            _ => Err(TooManyFragments { needed, mtu }),
        }
    }

    /// Returns how many packets the message takes, 1 to [`MAX_FRAGMENTS`].
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Returns packet `index`, counted from 0: the fragment in its header, and the bytes of the
    /// message that it carries. `None` from [`FragmentPlan::count`] on.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(Fragment, Range<usize>)> {
        if index >= self.count() {
            return None;
        }
        let fragment = if self.count == 1 {
            Fragment::Whole
        } else {
            let number = u8::try_from(index + 1).ok()?;
            Fragment::Part(FragmentPart::new(number, self.count).ok()?)
        };
        // Only the last packet could end past the message, and it starts before the message's end.
        let start = index * self.mtu;
        Some((fragment, start..self.len.min(start.saturating_add(self.mtu))))
    }

    /// Iterates over all packets in the order of sending, as [`FragmentPlan::get`] returns them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Fragment, Range<usize>)> + use<> {
        FragmentIter { plan: *self, next: 0 }
    }
}

/// A message that would need more fragments than a packet can count.
///
/// # Examples
///
/// ```
/// use knet_engine::FragmentPlan;
///
/// let error = FragmentPlan::new(65_536, 200).unwrap_err();
/// assert_eq!((error.needed, error.mtu), (328, 200));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "message needs {needed} fragments at a data MTU of {mtu} bytes where a packet counts at most \
     {MAX_FRAGMENTS}: raise the MTU or send less"
)]
pub struct TooManyFragments {
    /// How many packets the message would take.
    pub needed: usize,
    /// The data MTU, in bytes of payload.
    pub mtu: usize,
}

impl TooManyFragments {
    /// Returns `EMSGSIZE`. libknet has no such check: its count of fragments would wrap.
    #[must_use]
    pub fn errno(&self) -> i32 {
        EMSGSIZE
    }
}

#[derive(Debug)]
struct FragmentIter {
    plan: FragmentPlan,
    next: usize,
}

impl Iterator for FragmentIter {
    type Item = (Fragment, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.plan.get(self.next)?;
        self.next += 1;
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.count() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for FragmentIter {}

#[cfg(test)]
mod tests {
    use knet_wire::{DataHeader, HostId, MAX_MESSAGE, SequenceNumber};
    use proptest::prelude::*;

    use super::*;

    fn sizes(len: usize, mtu: usize) -> Vec<usize> {
        FragmentPlan::new(len, mtu).unwrap().iter().map(|(_, bytes)| bytes.len()).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_examples_of_the_wire_format_are_met() {
        assert_eq!(sizes(200, 74), [74, 74, 52]);
        assert_eq!(sizes(65_536, 65_481), [65_481, 55]);
    }

    #[test]
    fn packets_are_byte_for_byte_those_captured_as_v9_to_v11() {
        let message = b"0123456789".repeat(20);
        let frames: Vec<String> = FragmentPlan::new(message.len(), 74)
            .unwrap()
            .iter()
            .map(|(fragment, bytes)| {
                let header = DataHeader {
                    sequence: SequenceNumber::new(1),
                    compression: 0,
                    broadcast: true,
                    fragment,
                    channel: 0,
                };
                hex(&header.encode(HostId::new(1))) + &hex(&message[bytes])
            })
            .collect();
        assert_eq!(frames, [V9, V10, V11]);
    }

    #[test]
    fn what_fits_is_sent_whole() {
        for len in [0, 1, 73, 74] {
            let plan = FragmentPlan::new(len, 74).unwrap();
            assert_eq!(plan.iter().collect::<Vec<_>>(), [(Fragment::Whole, 0..len)]);
        }
        assert_eq!(FragmentPlan::new(75, 74).unwrap().count(), 2);
    }

    #[test]
    fn the_longest_message_passes_at_every_mtu_from_259_on() {
        assert_eq!(FragmentPlan::new(MAX_MESSAGE, 259).unwrap().count(), 254);
        let refused = FragmentPlan::new(MAX_MESSAGE, 258).unwrap_err();
        assert_eq!(refused, TooManyFragments { needed: 255, mtu: 258 });
        assert_eq!(refused.errno(), 90);
        assert!(refused.to_string().contains("needs 255 fragments at a data MTU of 258 bytes"));
    }

    #[test]
    fn absurd_numbers_are_refused_or_sent_whole_but_never_panic() {
        assert!(FragmentPlan::new(usize::MAX, 0).is_err());
        assert_eq!(sizes(3, 0), [1, 1, 1]);
        assert_eq!(sizes(usize::MAX, usize::MAX), [usize::MAX]);
        assert_eq!(sizes(usize::MAX, usize::MAX - 1), [usize::MAX - 1, 1]);
    }

    proptest! {
        #[test]
        fn the_slices_are_the_message_in_order(len in 1..=MAX_MESSAGE, mtu in 1..=70_000usize) {
            let Ok(plan) = FragmentPlan::new(len, mtu) else {
                prop_assert!(len.div_ceil(mtu) > 254);
                return Ok(());
            };
            prop_assert_eq!(plan.count(), len.div_ceil(mtu));
            prop_assert_eq!(plan.iter().len(), plan.count());
            let mut end = 0;
            for (k, (fragment, bytes)) in plan.iter().enumerate() {
                prop_assert_eq!(bytes.start, end);
                end = bytes.end;
                let last = k + 1 == plan.count();
                prop_assert_eq!(bytes.len(), if last { len - k * mtu } else { mtu });
                match fragment {
                    Fragment::Whole => prop_assert_eq!(plan.count(), 1),
                    Fragment::Part(part) => {
                        prop_assert_eq!(usize::from(part.index()), k + 1);
                        prop_assert_eq!(usize::from(part.count()), plan.count());
                    }
                }
                prop_assert_eq!(plan.get(k), Some((fragment, bytes)));
            }
            prop_assert_eq!(end, len);
            prop_assert_eq!(plan.get(plan.count()), None);
        }
    }

    const V9: &str = "01000001000000010000010301003031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233";
    const V10: &str = "01000001000000010000010302003435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637";
    const V11: &str = "010000010000000100000103030038393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839";
}
