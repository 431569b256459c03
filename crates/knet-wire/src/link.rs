//! The number of a link between two hosts.

use core::fmt;

use crate::EINVAL;

/// The number of a link towards a host, always below [`LinkId::COUNT`].
///
/// Both ends use the same number for the same link: it travels in control frames and indexes the
/// receiver's own links towards the sender (wire.md section 3.2).
///
/// # Examples
///
/// ```
/// use knet_wire::LinkId;
///
/// assert_eq!(LinkId::new(7)?.index(), 7);
/// assert!(LinkId::new(8).is_err());
/// # Ok::<(), knet_wire::InvalidLinkId>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(u8);

impl LinkId {
    /// How many links may lead to one host.
    pub const COUNT: u8 = 8;

    /// All link ids, in ascending order.
    pub const ALL: [Self; Self::COUNT as usize] =
        [Self(0), Self(1), Self(2), Self(3), Self(4), Self(5), Self(6), Self(7)];

    /// Names the link with this number.
    ///
    /// # Errors
    ///
    /// [`InvalidLinkId`] if `id` is [`LinkId::COUNT`] or more.
    pub const fn new(id: u8) -> Result<Self, InvalidLinkId> {
        if id < Self::COUNT { Ok(Self(id)) } else { Err(InvalidLinkId(id)) }
    }

    /// Returns the number, 0 to 7.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the number as an index, 0 to 7, for an array of [`LinkId::COUNT`] elements.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u8> for LinkId {
    type Error = InvalidLinkId;

    /// Same as [`LinkId::new`].
    fn try_from(id: u8) -> Result<Self, InvalidLinkId> {
        Self::new(id)
    }
}

impl fmt::Display for LinkId {
    /// Writes the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A link number out of range; it carries the number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no link has number {0}, give one from 0 to 7")]
pub struct InvalidLinkId(pub u8);

impl InvalidLinkId {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_first_eight_numbers_are_links() {
        for id in 0..=u8::MAX {
            match LinkId::new(id) {
                Ok(link) => assert_eq!(LinkId::ALL.get(usize::from(id)), Some(&link)),
                Err(refused) => {
                    assert!(id >= 8);
                    assert_eq!((refused, refused.errno()), (InvalidLinkId(id), 22));
                }
            }
        }
    }

    #[test]
    fn the_index_is_the_number() {
        for (index, link) in LinkId::ALL.into_iter().enumerate() {
            assert_eq!((link.index(), usize::from(link.get())), (index, index));
        }
    }
}
