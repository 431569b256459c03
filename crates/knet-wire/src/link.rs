//! Link ids.

use core::{fmt, num::ParseIntError, str::FromStr};

use crate::EINVAL;

/// The id of a link to a host, always below [`LinkId::COUNT`].
///
/// Both hosts use the same id for a link. Control packets contain it.
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
    /// The largest number of links to a host.
    pub const COUNT: u8 = 8;

    /// All link ids in ascending order.
    pub const ALL: [Self; Self::COUNT as usize] =
        [Self(0), Self(1), Self(2), Self(3), Self(4), Self(5), Self(6), Self(7)];

    /// Creates a link id.
    ///
    /// # Errors
    ///
    /// [`InvalidLinkId`] if `id` is [`LinkId::COUNT`] or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::LinkId;
    ///
    /// assert_eq!(LinkId::new(3), Ok(LinkId::ALL[3]));
    /// assert!(LinkId::new(LinkId::COUNT).is_err());
    /// ```
    pub const fn new(id: u8) -> Result<Self, InvalidLinkId> {
        if id < Self::COUNT { Ok(Self(id)) } else { Err(InvalidLinkId(id)) }
    }

    /// Returns the id as a number, 0 to 7.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_wire::LinkId::ALL[3].get(), 3);
    /// ```
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the id as an index into an array of [`LinkId::COUNT`] elements.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::LinkId;
    ///
    /// let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    /// assert_eq!(names[LinkId::ALL[2].index()], "c");
    /// ```
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u8> for LinkId {
    type Error = InvalidLinkId;

    /// Creates a link id like [`LinkId::new`].
    fn try_from(id: u8) -> Result<Self, InvalidLinkId> {
        Self::new(id)
    }
}

impl fmt::Display for LinkId {
    /// Formats the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for LinkId {
    type Err = ParseLinkIdError;

    fn from_str(text: &str) -> Result<Self, ParseLinkIdError> {
        Ok(Self::new(text.parse().map_err(ParseLinkIdError::NotANumber)?)?)
    }
}

/// The error of parsing a [`LinkId`].
///
/// # Examples
///
/// ```
/// use knet_wire::{LinkId, ParseLinkIdError};
///
/// assert_eq!("7".parse(), Ok(LinkId::ALL[7]));
/// let error = "eth0".parse::<LinkId>().unwrap_err();
/// assert_eq!(error.to_string(), "not a link id, use a number from 0 to 7");
/// assert!(matches!("8".parse::<LinkId>(), Err(ParseLinkIdError::Invalid(_))));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseLinkIdError {
    /// The text is not a number from 0 to 255.
    #[error("not a link id, use a number from 0 to 7")]
    NotANumber(#[source] ParseIntError),
    /// The number is above 7.
    #[error(transparent)]
    Invalid(#[from] InvalidLinkId),
}

impl ParseLinkIdError {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

/// The error of a link id out of range, with the number.
///
/// # Examples
///
/// ```
/// use knet_wire::{InvalidLinkId, LinkId};
///
/// let error = LinkId::new(8).unwrap_err();
/// assert_eq!((error, error.errno()), (InvalidLinkId(8), 22));
/// assert_eq!(error.to_string(), "link id 8 does not exist, use 0 to 7");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("link id {0} does not exist, use 0 to 7")]
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
    fn only_the_first_eight_numbers_are_link_ids() {
        for id in 0..=u8::MAX {
            match LinkId::new(id) {
                Ok(link) => assert_eq!(LinkId::ALL.get(usize::from(id)), Some(&link)),
                Err(error) => {
                    assert!(id >= 8);
                    assert_eq!((error, error.errno()), (InvalidLinkId(id), 22));
                }
            }
        }
    }

    #[test]
    fn only_the_numbers_of_links_parse() {
        for (text, link) in ["0", "1", "2", "3", "4", "5", "6", "7"].into_iter().zip(LinkId::ALL) {
            assert_eq!(text.parse(), Ok(link));
        }
        for text in ["", "8", "256", "-1", "1 ", "one"] {
            assert_eq!(text.parse::<LinkId>().unwrap_err().errno(), 22, "{text:?}");
        }
    }

    #[test]
    fn the_index_is_the_number() {
        for (index, link) in LinkId::ALL.into_iter().enumerate() {
            assert_eq!((link.index(), usize::from(link.get())), (index, index));
        }
    }
}
