//! The caller's name for a source.

/// The name under which a source's events are reported.
///
/// The poller gives it no meaning: any number is allowed, and two sources may share one, in which
/// case their events can't be told apart.
///
/// A token is best not used again for another source while events of the old one may still lie
/// unread in some [`Events`](crate::Events): the poller cannot take back what it has handed out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(pub u64);
