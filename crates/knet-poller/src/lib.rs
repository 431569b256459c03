//! An epoll with typed tokens, a waker, and no stale events.
//!
//! A [`Poller`] reports which of many file descriptors are ready. Any thread may
//! [add](Poller::add), [modify](Poller::modify) and [remove](Poller::remove) sources while others
//! [wait](Poller::wait), and a [`Waker`] makes a wait return from outside. Readiness is
//! level-triggered: every wait reports a ready source again until it has been dealt with.
//!
//! # Guarantees
//!
//! Three of them go beyond [`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html):
//!
//! - **No stale events.** Once [`remove`](Poller::remove) has returned, no later wait reports that
//!   source, even if its descriptor number or its token is reused immediately. Events that another
//!   thread has already fetched from the kernel are discarded.
//! - **Exact timeouts.** A timeout is rounded up to the next millisecond, never down. A wait that a
//!   signal interrupts continues with the remaining time.
//! - **Coalesced wake-ups.** However often a waker fires before the next wait, the wake-ups cost one
//!   write and end one wait.
//!
//! # Out of scope
//!
//! The poller owns no source and never closes, reads or writes one. It has no timers (pass `wait` the
//! time until the next one) and no callbacks. It never uses edge-triggered or one-shot mode.
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
//! let tokens: Vec<Token> = events.iter().map(|event| event.token).collect();
//! assert_eq!(tokens, [Token(7)]);
//!
//! poller.remove(&far)?;
//! assert_eq!(poller.wait(&mut events, Some(Duration::ZERO))?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod busy_wait;
pub use busy_wait::BusyWait;

mod deadline;

mod error;
pub use error::{AddError, ModifyError, PollerError, RemoveError};

mod event;
pub use event::{Event, Events};

mod interest;
pub use interest::Interest;

mod owner;

mod poller;
pub use poller::Poller;

mod registrations;

mod token;
pub use token::Token;

mod waker;
pub use waker::Waker;
