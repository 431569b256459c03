//! The caller's name for a source.

/// The name under which the events of a source are reported.
///
/// The poller attaches no meaning to it. Any number is allowed, and several sources may share one, in
/// which case their events cannot be distinguished.
///
/// Do not reuse a token for another source while an [`Events`](crate::Events) may still contain unread
/// events of the old one.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
///
/// use knet_poller::Token;
///
/// let names = HashMap::from([(Token(1), "listener"), (Token(2), "timer")]);
/// assert_eq!(names[&Token(2)], "timer");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(pub u64);
