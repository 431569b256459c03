//! A host, whichever implementation is behind it.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use kronosnet::{Direction, PingTimers, Policy, Verdict};

/// What a case needs of an implementation. Its methods panic where that refuses.
pub(crate) trait Node: fmt::Debug + Sync {
    /// Its host id.
    fn id(&self) -> u16;

    /// Adds a datafd for a channel.
    fn open(&self, channel: u8) -> Datafd;

    /// Adds a link, and its host the first time, and enables it. Without a remote address it waits for
    /// the peer to come.
    fn connect(
        &self,
        peer: u16,
        link: u8,
        local: SocketAddr,
        remote: Option<SocketAddr>,
        how: &Care,
    );

    /// Watches a link in another way from now on.
    fn set_care(&self, peer: u16, link: u8, how: &Care);

    /// Enables or disables a link.
    fn set_enabled(&self, peer: u16, link: u8, enabled: bool);

    fn set_priority(&self, peer: u16, link: u8, priority: u8);

    fn set_policy(&self, peer: u16, policy: Policy);

    /// How long packets may be, headers included, or that it is to be found out.
    fn set_manual_mtu(&self, onwire: Option<u16>);

    /// How often it is to be found out, in whole seconds.
    fn set_mtu_interval(&self, interval: Duration);

    fn set_filter(&self, filter: Filter);

    /// How a link is doing.
    fn link(&self, peer: u16, link: u8) -> LinkView;

    /// How many data packets were sent to a host, and received from it.
    fn data_packets(&self, peer: u16) -> (u64, u64);

    /// How many bytes of a message a packet takes.
    fn data_mtu(&self) -> usize;

    /// Waits until a host is reachable, or is not any more.
    fn wait(&self, peer: u16, reachable: bool);

    /// Sends one message in this thread, to the one host that the filter names.
    fn send_now(&self, channel: u8, message: &[u8]);
}

/// The application's end of a channel.
pub(crate) type Datafd = Box<dyn AsFd + Send + Sync>;

/// How a link is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) pong_count: u8,
}

impl Default for Care {
    /// Up soon, and not down because this machine is busy.
    fn default() -> Self {
        Self {
            // libknet's tick (`docs/interoperability.md`, "Limits of libknet").
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(60),
            pong_count: 1,
        }
    }
}

impl Care {
    pub(crate) fn timers(self) -> PingTimers {
        PingTimers { interval: self.interval, timeout: self.timeout, ..PingTimers::default() }
    }
}

/// What both implementations tell of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkView {
    pub(crate) up: bool,
    /// `None` before the first pong.
    pub(crate) latency: Option<Duration>,
    /// How many bytes of a message a packet takes.
    pub(crate) mtu: usize,
    pub(crate) tx_data: u64,
    pub(crate) rx_data: u64,
    pub(crate) tx_pings: u64,
    pub(crate) rx_pings: u64,
    pub(crate) rx_pongs: u64,
    /// Probes of the path, and answers to them.
    pub(crate) rx_probes: u64,
}

/// What a filter is to do with a message: on its way out or in, on a channel, with these bytes.
pub(crate) type Filter = Arc<dyn Fn(Direction, i8, &[u8]) -> Decision + Send + Sync>;

/// What a filter decides.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) hosts: Vec<u16>,
    pub(crate) channel: Option<u8>,
}

impl Decision {
    pub(crate) fn broadcast() -> Self {
        Self { verdict: Verdict::Broadcast, hosts: Vec::new(), channel: None }
    }

    pub(crate) fn only(host: u16) -> Self {
        Self { verdict: Verdict::Listed, hosts: vec![host], channel: None }
    }
}
