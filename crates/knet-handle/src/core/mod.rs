//! The state that the threads of a handle share: the engine behind its lock, the routes, the queue of
//! notices.
//!
//! It knows the threads only as workers that can be woken and flushed.

pub(crate) mod event_queue;
pub(crate) mod fate;
pub(crate) mod notices;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod subject;
pub(crate) mod thread;
pub(crate) mod threads;
pub(crate) mod worker;
pub(crate) mod zoned_links;
