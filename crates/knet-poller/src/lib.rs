//! An epoll with typed tokens, a waker, and no stale events.
//!
//! A [`Poller`] tells which of many file descriptors are ready. Sources are
//! [added](Poller::add), [modified](Poller::modify) and [removed](Poller::remove) from any thread
//! while others [wait](Poller::wait), and a [`Waker`] makes a wait return from outside. Readiness is
//! level-triggered: what is ready stays ready, and is reported again by every wait, until it has been
//! dealt with.
//!
//! Three promises go beyond [`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html):
//!
//! - **No stale events.** Once [`remove`](Poller::remove) has returned, no later wait reports that
//!   source, not even if its descriptor number or its token are used again at once. What one thread
//!   fetched from the kernel before another removed the source is thrown away.
//! - **Time that is kept.** A timeout is rounded up to the next millisecond, never down, and a wait
//!   that a signal interrupts goes on with the time that is left.
//! - **Wake-ups that fold.** However often a waker fires before the next wait, it costs one write and
//!   wakes once.
//!
//! What it refuses to do: it owns no source and never closes, reads or writes one; it has no timers
//! (give `wait` the time until the next one) and no callbacks; it never uses edge-triggered or
//! one-shot mode.
//!
//! # Example
//!
//! ```
//! use std::io::Write;
//! use std::os::unix::net::UnixStream;
//! use std::time::Duration;
//!
//! use knet_poller::{Events, Interest, Poller, Token};
//!
//! let (mut near, far) = UnixStream::pair()?;
//! let poller = Poller::new()?;
//! poller.add(&far, Token(7), Interest::READ)?;
//!
//! near.write_all(b"hello")?;
//! let mut events = Events::with_capacity(64);
//! poller.wait(&mut events, Some(Duration::from_secs(5)))?;
//! for event in &events {
//!     assert_eq!(event.token, Token(7));
//!     assert!(event.readable);
//! }
//!
//! poller.remove(&far)?;
//! assert_eq!(poller.wait(&mut events, Some(Duration::ZERO))?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod busy_wait;
pub use busy_wait::BusyWait;

mod deadline;

mod error;
pub use error::{AddError, ModifyError, PollerError, RemoveError};

mod event;
pub use event::{Event, Events};

mod interest;
pub use interest::Interest;

mod poller;
pub use poller::Poller;

mod registrations;

mod token;
pub use token::Token;

mod waker;
pub use waker::Waker;
