//! Log events. Each names its handle and its subsystem, which is also its target.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use knet_wire::HostId;

/// The fields that identify a handle in log events. Each part of the handle that logs has a copy of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Log {
    host: HostId,
    instance: u64,
}

impl Log {
    /// Creates the log of a new handle for the host `host`.
    pub(crate) fn new(host: HostId) -> Self {
        static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
        Self { host, instance: NEXT_INSTANCE.fetch_add(1, Relaxed) }
    }

    /// Returns the host id of the handle.
    pub(crate) fn host(&self) -> HostId {
        self.host
    }

    /// Returns the number of the handle, counted from 1 in the order in which the handles of the process
    /// were created. Handles may have the same host id, but not the same number.
    pub(crate) fn instance(&self) -> u64 {
        self.instance
    }
}

#[cfg(test)]
impl Default for Log {
    fn default() -> Self {
        Self::new(HostId::new(1))
    }
}

/// The part of the handle that an event comes from. The names are libknet's, where it has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Subsystem {
    /// Settings of the handle, threads and callbacks.
    Handle,
    /// Hosts, and whether they are reachable.
    Host,
    /// The links' settings, state and control packets.
    Link,
    /// The path MTU.
    Pmtud,
    /// The links' sockets.
    Transport,
    /// The datafds. In libknet their events are of the handle.
    Datafd,
    /// The filter of the application.
    Filter,
    /// The path of a message to the links.
    Tx,
    /// The path of a datagram to the datafds.
    Rx,
}

impl Subsystem {
    /// Returns the target of its events, by which subscribers filter them.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Handle => "knet::handle",
            Self::Host => "knet::host",
            Self::Link => "knet::link",
            Self::Pmtud => "knet::pmtud",
            Self::Transport => "knet::transport",
            Self::Datafd => "knet::datafd",
            Self::Filter => "knet::filter",
            Self::Tx => "knet::tx",
            Self::Rx => "knet::rx",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Host => "host",
            Self::Link => "link",
            Self::Pmtud => "pmtud",
            Self::Transport => "transport",
            Self::Datafd => "datafd",
            Self::Filter => "filter",
            Self::Tx => "tx",
            Self::Rx => "rx",
        }
    }
}

/// An error with its causes, as one line: the text of an error does not repeat its causes.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// Logs an event: its level, the [`Log`] of the handle, the [`Subsystem`], then fields and message as in
/// [`tracing::event!`]. Nothing is evaluated while the event is disabled.
macro_rules! log {
    ($level:ident, $log:expr, $subsystem:ident, $($event:tt)+) => {
        ::tracing::$level!(
            target: $crate::log::Subsystem::$subsystem.target(),
            handle = $log.host().get(),
            instance = $log.instance(),
            subsystem = $crate::log::Subsystem::$subsystem.name(),
            $($event)+
        )
    };
}
pub(crate) use log;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_causes_of_an_error_follow_it_once() {
        let below = knet_poller::PollerError::Create { source: io::Error::from_raw_os_error(24) };
        let error = crate::Error::os(crate::Operation::CreatePoller, 24, below);
        let text = Causes(&error).to_string();
        let expected = "creating a poller failed: cannot create a poller, raise the limit of open files if \
                        it is reached: ";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.matches("open files").count(), 2, "the cause is named once: {text}");
    }
}
