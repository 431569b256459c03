//! Which slice of a message a data frame carries.

use crate::EINVAL;

/// How many fragments a message may be cut into.
///
/// 255 fits the field but libknet 1.35 refuses it (wire.md section 5.1).
pub const MAX_FRAGMENTS: u8 = 254;

/// Which slice of a message a data frame carries.
///
/// The enum is complete: format 1 has no third case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fragment {
    /// The message is in this frame and no other.
    Whole,
    /// The message is spread over several frames and this is one of them.
    Part(FragmentPart),
}

impl Fragment {
    /// Reads the two bytes of a data header by the rules of wire.md section 5.3: a count of 0 or 1
    /// is a whole message whatever the index says.
    pub(crate) const fn decode(count: u8, index: u8) -> Result<Self, InvalidFragment> {
        if count <= 1 {
            return Ok(Self::Whole);
        }
        match FragmentPart::new(index, count) {
            Ok(part) => Ok(Self::Part(part)),
            Err(refused) => Err(refused),
        }
    }

    /// Returns the bytes of a data header: count, then index. A whole message is 1 and 0.
    pub(crate) const fn encode(self) -> [u8; 2] {
        match self {
            Self::Whole => [1, 0],
            Self::Part(part) => [part.count, part.index],
        }
    }
}

/// The place of one fragment among its siblings: `1 <= index <= count` and
/// `2 <= count <= `[`MAX_FRAGMENTS`], always.
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
    /// Names fragment `index`, counted from 1, of `count`.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] unless `2 <= count <= 254` and `1 <= index <= count`
    /// (wire.md section 5.3).
    pub const fn new(index: u8, count: u8) -> Result<Self, InvalidFragment> {
        if count < 2 || count > MAX_FRAGMENTS || index == 0 || index > count {
            return Err(InvalidFragment { index, count });
        }
        Ok(Self { index, count })
    }

    /// Returns which fragment this is, 1 to [`count`](Self::count).
    pub const fn index(self) -> u8 {
        self.index
    }

    /// Returns how many fragments the message has, 2 to [`MAX_FRAGMENTS`].
    pub const fn count(self) -> u8 {
        self.count
    }

    /// Returns whether this is the last fragment, the only one that may be shorter than the others.
    pub const fn is_last(self) -> bool {
        self.index == self.count
    }
}

/// An impossible fragment number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no fragment is number {index} of {count}, a message has 2 to 254, numbered from 1")]
pub struct InvalidFragment {
    /// The fragment's number.
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
    fn every_pair_of_bytes_is_judged_by_the_rule() {
        for count in 0..=u8::MAX {
            for index in 0..=u8::MAX {
                let judged = Fragment::decode(count, index);
                if count <= 1 {
                    assert_eq!(judged, Ok(Fragment::Whole));
                } else if count <= 254 && (1..=count).contains(&index) {
                    let Ok(Fragment::Part(part)) = judged else { panic!("{index} of {count}") };
                    assert_eq!((part.index(), part.count()), (index, count));
                    assert_eq!(part.is_last(), index == count);
                    assert_eq!(Fragment::Part(part).encode(), [count, index]);
                } else {
                    assert_eq!(judged, Err(InvalidFragment { index, count }));
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_single_frame_cannot_be_made() {
        let refused = FragmentPart::new(1, 1).unwrap_err();
        assert_eq!((refused, refused.errno()), (InvalidFragment { index: 1, count: 1 }, 22));
    }
}
