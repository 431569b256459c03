//! The public API: the handle and everything it returns.
//!
//! The top room of the crate. It checks arguments, starts and stops the threads, and turns calls into
//! changes of the state in [`core`](crate::core).

pub(crate) mod acl;
pub(crate) mod audience;
pub(crate) mod builder;
pub(crate) mod datafd;
pub(crate) mod datafds;
pub(crate) mod event_log;
pub(crate) mod event_stream;
mod events;
pub(crate) mod filter;
pub(crate) mod forwarding;
pub(crate) mod handle;
pub(crate) mod handle_config;
pub(crate) mod host;
pub(crate) mod hosts;
pub(crate) mod link;
pub(crate) mod link_config;
pub(crate) mod link_settings;
pub(crate) mod local_socket;
pub(crate) mod marking;
pub(crate) mod messages;
pub(crate) mod mtu;
pub(crate) mod notify_thread;
pub(crate) mod stats;
