//! The settings of a handle.

use std::fs;
use std::time::Duration;

use knet_engine::DEFAULT_MTU_INTERVAL;
use knet_transport::QosMarking;

use crate::core::settings::Settings;
use crate::io::backpressure;

/// The settings of a handle, for [`Handle::with_config`](crate::Handle::with_config).
///
/// All but the first two can be changed later, with the setter of the same name on
/// [`Handle`](crate::Handle).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use knet_handle::{Handle, HandleConfig, HostId};
///
/// # fn main() -> Result<(), knet_handle::Error> {
/// let config = HandleConfig {
///     send_timeout: Duration::from_millis(50),
///     mtu_interval: Duration::from_secs(600),
///     ..HandleConfig::default()
/// };
/// let handle = Handle::with_config(HostId::new(1), config)?;
/// assert_eq!(handle.send_timeout(), Duration::from_millis(50));
/// assert_eq!(handle.mtu_interval(), Duration::from_secs(600));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers write the rest as `..default()`")]
pub struct HandleConfig {
    /// The longest time for which the data threads busy-poll for more messages and packets before they
    /// sleep.
    ///
    /// They busy-poll only while messages follow one another faster than this: then no thread has to be
    /// woken, which often costs more than everything else done for a message. Meanwhile they offer their
    /// processor to other threads, and stop where others need it ([`BusyWait`](knet_poller::BusyWait)).
    /// An idle handle sleeps in any case.
    ///
    /// - Range: any; zero never busy-polls.
    /// - Default: `None`, which means 200 µs, or zero if the thread that creates the handle has a
    ///   real-time policy (`SCHED_FIFO`, `SCHED_RR`, `SCHED_DEADLINE`), because the handle's threads
    ///   inherit it and would yield to no other.
    /// - Cost: processor time, of up to two processors while messages are exchanged.
    pub busy_poll: Option<Duration>,

    /// How long packets wait for room in a link's socket, or in the queue of its device, while it accepts
    /// none at all. After that they are dropped, and the link is not waited for until it accepts a packet
    /// again ([`ChannelStats::tx_queue_full`](crate::ChannelStats::tx_queue_full)).
    ///
    /// A call of [`Handle::send`] never waits for longer. Messages of a datafd have fifty times as long where
    /// the socket accepts other packets. A message of which a fragment was sent is also dropped once 2048
    /// others have overtaken it. Control packets wait for at most 50 ms, because what they report becomes
    /// outdated.
    ///
    /// - Range: any; zero drops packets at once, [`Duration::MAX`] never. With zero, the queue of a device is
    ///   not bounded either, so bulk data may delay the pings of a slow link until it goes down.
    /// - Default: 200 ms.
    /// - Cost: the datafd whose messages wait is not read meanwhile, and [`Handle::send`] blocks. Other
    ///   datafds, links and hosts are not affected.
    ///
    /// [`Handle::send`]: crate::Handle::send
    pub send_timeout: Duration,

    /// Whether messages are sent and delivered: [`Handle::set_forwarding`](crate::Handle::set_forwarding).
    ///
    /// - Default: `false`, so that hosts, links and a filter can be set up first.
    pub forwarding: bool,

    /// The marking of packets whose link has no
    /// [marking of its own](crate::LinkConfig::marking):
    /// [`Handle::set_marking`](crate::Handle::set_marking).
    ///
    /// - Default: not marked.
    pub marking: QosMarking,

    /// The length of IP packets in bytes, on every link, instead of the path MTU:
    /// [`Handle::set_manual_mtu`](crate::Handle::set_manual_mtu).
    ///
    /// - Range: see [`MtuError::TooSmall`](crate::MtuError::TooSmall).
    /// - Default: `None`, which discovers the path MTU of each link.
    /// - Cost: messages with packets longer than the path MTU are lost.
    pub manual_mtu: Option<u16>,

    /// The time between two discoveries of a link's path MTU:
    /// [`Handle::set_mtu_interval`](crate::Handle::set_mtu_interval).
    ///
    /// - Range: 1 s to 86400 s.
    /// - Default: 60 s.
    /// - Cost: a search per link, of few probes where the path has a usual MTU; a probe that is lost is
    ///   repeated (`docs/protocol.md`, "Path MTU discovery").
    pub mtu_interval: Duration,

    /// Whether dynamic links accept only peers that their access list accepts:
    /// [`Handle::set_access_lists`](crate::Handle::set_access_lists).
    ///
    /// - Default: `true`.
    /// - Cost: without access lists, any host that knows the host id of a peer can take its place.
    pub access_lists: bool,
}

impl Default for HandleConfig {
    fn default() -> Self {
        Self {
            busy_poll: None,
            send_timeout: backpressure::SEND_TIMEOUT,
            forwarding: false,
            marking: QosMarking::default(),
            manual_mtu: None,
            mtu_interval: DEFAULT_MTU_INTERVAL,
            access_lists: true,
        }
    }
}

impl HandleConfig {
    /// Returns the settings that are fixed once the threads run.
    pub(crate) fn settings(&self) -> Settings {
        let usual = || if is_real_time() { Duration::ZERO } else { BUSY_POLL };
        Settings {
            busy_poll: self.busy_poll.unwrap_or_else(usual),
            send_timeout: self.send_timeout,
        }
    }
}

/// Longer than two sleeping hosts take to answer each other, so that an exchange of messages ends in
/// busy-polling; and the time for which KVM busy-polls before it halts an idle processor.
const BUSY_POLL: Duration = Duration::from_micros(200);

/// Returns `true` if threads that this one starts are scheduled in real time.
fn is_real_time() -> bool {
    fs::read_to_string("/proc/thread-self/stat").is_ok_and(|stat| has_real_time_policy(&stat))
}

/// Returns `true` if the policy, field 41 of `proc_pid_stat(5)`, is one of real time. The second field, in
/// parentheses, may itself contain spaces and parentheses.
fn has_real_time_policy(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map(|(_, third_on)| third_on);
    let policy = fields.and_then(|fields| fields.split_whitespace().nth(41 - 3));
    // SCHED_FIFO, SCHED_RR and SCHED_DEADLINE of sched(7).
    matches!(policy, Some("1" | "2" | "6"))
}

#[cfg(test)]
mod tests {
    use knet_wire::HostId;

    use super::*;
    use crate::{Error, Handle, MtuError};

    #[test]
    fn real_time_scheduling_is_read_from_the_kernels_report() {
        let own = fs::read_to_string("/proc/thread-self/stat").unwrap();
        assert!(!has_real_time_policy(&own), "tests have the usual policy: {own}");
        // Recorded under `chrt -f 10`.
        let fifo = "10743 (a) b)) R 10679 10679 26253 0 -1 4194560 183 0 2 0 0 0 0 0 -11 0 1 0 2864083 \
                    3133440 389 18446744073709551615 94824383254528 94824383274409 140724649216080 0 0 \
                    0 0 0 0 0 0 0 17 1 10 1 0 0 0 94824383290416 94824383292032 94824506490880 \
                    140724649220779 140724649220806 140724649220806 140724649222123 0";
        assert!(has_real_time_policy(fifo));
        assert!(!has_real_time_policy("nonsense"));
    }

    #[test]
    fn busy_polling_is_as_configured() {
        let host = HostId::new(1);
        assert_eq!(Handle::new(host).unwrap().busy_poll(), BUSY_POLL);
        for most in [Duration::ZERO, Duration::MAX] {
            let handle = Handle::builder(host).busy_poll(most).build().unwrap();
            assert_eq!(handle.busy_poll(), most);
            // Both threads respond.
            handle.set_forwarding(true).unwrap();
            handle.set_forwarding(false).unwrap();
        }
    }
    /// The settings of a handle, as its getters return them.
    fn read(handle: &Handle) -> HandleConfig {
        HandleConfig {
            busy_poll: Some(handle.busy_poll()),
            send_timeout: handle.send_timeout(),
            forwarding: handle.forwarding(),
            marking: handle.marking(),
            manual_mtu: handle.manual_mtu(),
            mtu_interval: handle.mtu_interval(),
            access_lists: handle.access_lists(),
        }
    }

    #[test]
    fn a_handle_has_the_settings_that_it_was_created_with() {
        let host = HostId::new(1);
        let default = HandleConfig { busy_poll: Some(BUSY_POLL), ..HandleConfig::default() };
        assert_eq!(read(&Handle::new(host).unwrap()), default);
        let other = HandleConfig {
            busy_poll: Some(Duration::ZERO),
            send_timeout: Duration::from_millis(1),
            forwarding: true,
            marking: QosMarking { priority: true, dscp: None },
            manual_mtu: Some(1400),
            mtu_interval: Duration::from_secs(1),
            access_lists: false,
        };
        assert_eq!(read(&Handle::with_config(host, other.clone()).unwrap()), other);
        let built = Handle::builder(host).config(other.clone()).build().unwrap();
        assert_eq!(read(&built), other);
    }

    #[test]
    fn settings_out_of_range_are_an_error() {
        let refused = |config| match Handle::with_config(HostId::new(1), config) {
            Err(Error::Mtu(error)) => error,
            other => panic!("{other:?}"),
        };
        let manual_mtu = HandleConfig { manual_mtu: Some(1), ..HandleConfig::default() };
        assert!(matches!(refused(manual_mtu), MtuError::TooSmall { onwire: 1, .. }));
        let mtu_interval = HandleConfig { mtu_interval: Duration::ZERO, ..HandleConfig::default() };
        assert!(matches!(refused(mtu_interval), MtuError::Interval { .. }));
    }
}
