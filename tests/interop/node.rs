//! A host of either implementation.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use kronosnet::{Direction, PingTimers, Policy, Verdict};

/// The calls that a case needs of an implementation. They panic if it returns an error.
pub(crate) trait Node: fmt::Debug + Sync {
    /// Returns its host id.
    fn id(&self) -> u16;

    /// Adds a datafd for a channel.
    fn open(&self, channel: u8) -> Datafd;

    /// Adds a link, and its host the first time, and enables it. Without a remote address it waits
    /// for the peer.
    fn connect(
        &self,
        peer: u16,
        link: u8,
        local: SocketAddr,
        remote: Option<SocketAddr>,
        how: &Care,
    );

    /// Changes the timers of a link.
    fn set_care(&self, peer: u16, link: u8, how: &Care);

    /// Enables or disables a link.
    fn set_enabled(&self, peer: u16, link: u8, enabled: bool);

    fn set_priority(&self, peer: u16, link: u8, priority: u8);

    fn set_policy(&self, peer: u16, policy: Policy);

    /// Sets the length of packets, headers included, or discovers it.
    fn set_manual_mtu(&self, onwire: Option<u16>);

    /// Sets the interval of the discovery, in whole seconds.
    fn set_mtu_interval(&self, interval: Duration);

    fn set_filter(&self, filter: Filter);

    /// Returns the state of a link.
    fn link(&self, peer: u16, link: u8) -> LinkView;

    /// Returns how many data packets were sent to a host, and received from it.
    fn data_packets(&self, peer: u16) -> (u64, u64);

    /// Returns how many bytes of a message fit into a packet.
    fn data_mtu(&self) -> usize;

    /// Waits until a host is reachable, or no longer reachable.
    fn wait(&self, peer: u16, reachable: bool);

    /// Sends one message on this thread, to the one host that the filter lists.
    fn send_now(&self, channel: u8, message: &[u8]);
}

/// The application's end of a channel.
pub(crate) type Datafd = Box<dyn AsFd + Send + Sync>;

/// The timers of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) pong_count: u8,
}

impl Default for Care {
    /// Returns timers with which a link comes up soon, and stays up although this machine is busy.
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

/// The state of a link that both implementations report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkView {
    pub(crate) up: bool,
    /// `None` before the first pong.
    pub(crate) latency: Option<Duration>,
    /// How many bytes of a message fit into a packet.
    pub(crate) mtu: usize,
    pub(crate) tx_data: u64,
    pub(crate) rx_data: u64,
    pub(crate) tx_pings: u64,
    pub(crate) rx_pings: u64,
    pub(crate) rx_pongs: u64,
    /// Probes of the path, and their replies.
    pub(crate) rx_probes: u64,
}

/// Decides what happens to a message, given its direction, channel and bytes.
pub(crate) type Filter = Arc<dyn Fn(Direction, i8, &[u8]) -> Decision + Send + Sync>;

/// The verdict of a filter.
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
        Self { verdict: Verdict::Destinations, hosts: vec![host], channel: None }
    }
}
