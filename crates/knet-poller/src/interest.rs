//! The readiness that a source is watched for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use nix::sys::epoll::EpollFlags;

/// The kinds of readiness a source is watched for.
///
/// Combine values with `|`. Hang-ups and errors are always reported, because the kernel does not let
/// them be turned off (`EPOLLHUP` and `EPOLLERR` in
/// [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html)).
///
/// # Examples
///
/// ```
/// use knet_poller::Interest;
///
/// let both = Interest::READ | Interest::WRITE;
/// assert!(both.contains(Interest::READ));
/// assert!(!Interest::READ.contains(both));
/// assert!(both.contains(Interest::NONE));
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Interest(u8);

impl Interest {
    /// Neither reading nor writing. The source reports only hang-ups and errors.
    ///
    /// Use it to pause a source. A source that has hung up must be removed instead, because every wait
    /// reports its hang-up as long as it is registered.
    pub const NONE: Interest = Interest(0);

    /// There is data to read, or a read would return end of file (`EPOLLIN`).
    pub const READ: Interest = Interest(1);

    /// There is room to write (`EPOLLOUT`).
    pub const WRITE: Interest = Interest(2);

    /// Returns `true` if `self` includes everything in `other`.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_poller::Interest;
    ///
    /// assert!((Interest::READ | Interest::WRITE).contains(Interest::WRITE));
    /// assert!(!Interest::NONE.contains(Interest::READ));
    /// ```
    #[must_use]
    pub const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the kernel's flags for level-triggered readiness.
    pub(crate) fn flags(self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.contains(Interest::READ));
        flags.set(EpollFlags::EPOLLOUT, self.contains(Interest::WRITE));
        flags
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = *self | other;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Interest::NONE => "NONE",
            Interest::READ => "READ",
            Interest::WRITE => "WRITE",
            _ => "READ | WRITE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_interests_contain_their_parts() {
        let mut both = Interest::NONE;
        both |= Interest::READ;
        assert_eq!(both, Interest::READ);
        both |= Interest::WRITE;
        assert_eq!(both, Interest::READ | Interest::WRITE);
        assert!(both.contains(Interest::WRITE) && both.contains(Interest::READ));
        assert!(!Interest::NONE.contains(Interest::READ));
        assert!(!Interest::READ.contains(Interest::WRITE));
    }

    #[test]
    fn kernel_flags_match_and_stay_level_triggered() {
        assert_eq!(Interest::NONE.flags(), EpollFlags::empty());
        assert_eq!(Interest::READ.flags(), EpollFlags::EPOLLIN);
        assert_eq!(Interest::WRITE.flags(), EpollFlags::EPOLLOUT);
        assert_eq!(
            (Interest::READ | Interest::WRITE).flags(),
            EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT
        );
    }

    #[test]
    fn debug_names_the_parts() {
        assert_eq!(format!("{:?}", Interest::NONE), "NONE");
        assert_eq!(format!("{:?}", Interest::READ), "READ");
        assert_eq!(format!("{:?}", Interest::WRITE), "WRITE");
        assert_eq!(format!("{:?}", Interest::WRITE | Interest::READ), "READ | WRITE");
    }
}
