//! Fragments of messages.

use crate::EINVAL;

/// The largest number of fragments of a message.
///
/// 255 fits the field, but libknet 1.35 rejects it.
pub const MAX_FRAGMENTS: u8 = 254;

/// The slice of a message in a data packet.
///
/// The enum is exhaustive, because version 1 of the format has no other cases.
///
/// # Examples
///
/// ```
/// use knet_wire::{Fragment, FragmentPart};
///
/// let is_complete = |fragment| fragment == Fragment::Whole;
/// assert!(is_complete(Fragment::Whole));
/// assert!(!is_complete(Fragment::Part(FragmentPart::new(1, 2)?)));
/// # Ok::<(), knet_wire::InvalidFragment>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fragment {
    /// The whole message.
    Whole,
    /// One of several fragments.
    Part(FragmentPart),
}

impl Fragment {
    /// Decodes the two bytes of a data header. A count of 0 or 1 is a whole message, regardless of the
    /// index.
    pub(crate) const fn decode(count: u8, index: u8) -> Result<Self, InvalidFragment> {
        if count <= 1 {
            return Ok(Self::Whole);
        }
        match FragmentPart::new(index, count) {
            Ok(part) => Ok(Self::Part(part)),
            Err(invalid) => Err(invalid),
        }
    }

    /// Returns the two bytes of a data header: count, then index. A whole message is 1 and 0.
    pub(crate) const fn encode(self) -> [u8; 2] {
        match self {
            Self::Whole => [1, 0],
            Self::Part(part) => [part.count, part.index],
        }
    }
}

/// The position of a fragment in its message, with `1 <= index <= count` and
/// `2 <= count <= `[`MAX_FRAGMENTS`].
///
/// # Examples
///
/// ```
/// use knet_wire::FragmentPart;
///
/// let last = FragmentPart::new(3, 3)?;
/// assert!(last.is_last());
/// assert!(FragmentPart::new(4, 3).is_err());
/// # Ok::<(), knet_wire::InvalidFragment>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FragmentPart {
    index: u8,
    count: u8,
}

impl FragmentPart {
    /// Creates the position of fragment `index`, counted from 1, of `count`.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] unless `2 <= count <= 254` and `1 <= index <= count`.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::FragmentPart;
    ///
    /// let first = FragmentPart::new(1, 254)?;
    /// assert_eq!((first.index(), first.count()), (1, 254));
    /// assert!(FragmentPart::new(1, 255).is_err());
    /// # Ok::<(), knet_wire::InvalidFragment>(())
    /// ```
    pub const fn new(index: u8, count: u8) -> Result<Self, InvalidFragment> {
        if count < 2 || count > MAX_FRAGMENTS || index == 0 || index > count {
            return Err(InvalidFragment { index, count });
        }
        Ok(Self { index, count })
    }

    /// Returns the number of the fragment, 1 to [`count`](Self::count).
    pub const fn index(self) -> u8 {
        self.index
    }

    /// Returns the number of fragments of the message, 2 to [`MAX_FRAGMENTS`].
    pub const fn count(self) -> u8 {
        self.count
    }

    /// Returns `true` for the last fragment, the only one that may be shorter than the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::FragmentPart;
    ///
    /// assert!(!FragmentPart::new(1, 2)?.is_last());
    /// assert!(FragmentPart::new(2, 2)?.is_last());
    /// # Ok::<(), knet_wire::InvalidFragment>(())
    /// ```
    pub const fn is_last(self) -> bool {
        self.index == self.count
    }
}

/// The error of an invalid fragment position.
///
/// # Examples
///
/// ```
/// use knet_wire::FragmentPart;
///
/// let error = FragmentPart::new(3, 2).unwrap_err();
/// assert_eq!((error.index, error.count), (3, 2));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid fragment {index} of {count}, a message has 2 to 254, numbered from 1")]
pub struct InvalidFragment {
    /// The number of the fragment.
    pub index: u8,
    /// The number of fragments.
    pub count: u8,
}

impl InvalidFragment {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_follows_the_rule_for_every_pair_of_bytes() {
        for count in 0..=u8::MAX {
            for index in 0..=u8::MAX {
                let decoded = Fragment::decode(count, index);
                if count <= 1 {
                    assert_eq!(decoded, Ok(Fragment::Whole));
                } else if count <= 254 && (1..=count).contains(&index) {
                    let Ok(Fragment::Part(part)) = decoded else { panic!("{index} of {count}") };
                    assert_eq!((part.index(), part.count()), (index, count));
                    assert_eq!(part.is_last(), index == count);
                    assert_eq!(Fragment::Part(part).encode(), [count, index]);
                } else {
                    assert_eq!(decoded, Err(InvalidFragment { index, count }));
                }
            }
        }
    }

    #[test]
    fn a_whole_message_is_not_a_fragment() {
        let error = FragmentPart::new(1, 1).unwrap_err();
        assert_eq!((error, error.errno()), (InvalidFragment { index: 1, count: 1 }, 22));
    }
}
