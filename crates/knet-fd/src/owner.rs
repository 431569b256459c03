//! The process that opened descriptors, and the processes that inherit them.

use std::num::NonZero;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// The process that created a value which a forked one must not use: it shares the descriptors of its parent and
/// lacks its threads.
///
/// Asking whether this is the process costs no system call. It makes no difference how the other was forked:
/// by `fork(2)`, by `_Fork(3)` or by a bare `clone(2)`, as long as it has memory of its own.
///
/// # Examples
///
/// ```
/// use knet_fd::Owner;
///
/// let owner = Owner::new();
/// assert!(owner.is_current());
/// assert_eq!(owner.process(), std::process::id());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    process: u32,
    /// `None` if the kernel has no memory that it wipes.
    mark: Option<Mark>,
}

/// The number of this process in memory that is zero in a forked one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    page: &'static AtomicU64,
    number: u64,
}

impl Owner {
    /// Returns the calling process.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no process is the default one")]
    pub fn new() -> Owner {
        static PAGE: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();
        let page = *PAGE.get_or_init(map_wiped_page);
        Owner { process: process::id(), mark: page.map(Mark::new) }
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Returns `false` in a process that was forked later.
    #[must_use]
    pub fn is_current(&self) -> bool {
        match self.mark {
            Some(Mark { page, number }) => page.load(Relaxed) == number,
            None => process::id() == self.process,
        }
    }
}

impl Mark {
    fn new(page: &'static AtomicU64) -> Mark {
        /// How many numbers were given to this process and those that it was forked from.
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let next = NUMBERS.fetch_add(1, Relaxed) + 1;
        // It is zero the first time.
        let number =
            page.compare_exchange(0, next, Relaxed, Relaxed).map_or_else(|it| it, |_| next);
        Mark { page, number }
    }
}

/// Maps memory that is zero, and zero again in each process that is forked.
#[allow(unsafe_code)]
fn map_wiped_page() -> Option<&'static AtomicU64> {
    let length = NonZero::new(size_of::<AtomicU64>())?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses a place where nothing is.
    let page = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE) }.ok()?;
    // SAFETY: it is the whole mapping, which nothing uses yet, and its content changes in other processes only.
    let advised = unsafe { madvise(page, length.get(), MmapAdvise::MADV_WIPEONFORK) };
    if advised.is_err() {
        // SAFETY: nothing refers to the mapping. If it cannot be removed, nothing will.
        let _ = unsafe { munmap(page, length.get()) };
        return None;
    }
    // SAFETY: a mapping is aligned to a page and long enough. Its zeros are an `AtomicU64`, and all access is
    // atomic. It is never unmapped.
    Some(unsafe { page.cast::<AtomicU64>().as_ref() })
}
