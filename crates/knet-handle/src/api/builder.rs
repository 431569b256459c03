//! Making a handle.

use std::fs;
use std::time::Duration;

use knet_engine::EngineConfig;
use knet_wire::HostId;

use crate::api::handle::Handle;
use crate::core::settings::Settings;
use crate::error::{Error, Operation};
use crate::io::backpressure;

/// What a handle is made from: [`Handle::builder`].
#[derive(Clone, Debug)]
pub struct HandleBuilder {
    host: HostId,
    /// `None` leaves it to us.
    busy_poll: Option<Duration>,
    send_timeout: Duration,
}

impl HandleBuilder {
    pub(crate) fn new(host: HostId) -> Self {
        Self { host, busy_poll: None, send_timeout: backpressure::SEND_TIMEOUT }
    }

    /// How long the data threads go on looking for messages and packets at most before they sleep:
    /// 200 µs if nothing else is said, and never with zero. A handle that is made by a thread with
    /// real-time scheduling (`SCHED_FIFO`, `SCHED_RR`) has zero if nothing else is said, because its
    /// threads would give way to nobody.
    ///
    /// They do so only while it pays, that is while messages follow one another faster than this: then
    /// nobody has to be woken, which takes longer than all else that is done for a message. While they
    /// look they offer their processor to other threads, and they stop looking where others need it
    /// ([`BusyWait`](knet_poller::BusyWait)). A handle with nothing to do sleeps in any case.
    #[must_use]
    pub fn busy_poll(mut self, most: Duration) -> Self {
        self.busy_poll = Some(most);
        self
    }

    /// How long packets wait for room in the socket of a full link, or in the queue of its device, while
    /// it takes none at all, before they are given up: 200 ms if nothing else is said, and not at all
    /// with zero.
    ///
    /// Meanwhile messages of other datafds, links and hosts go on; what is written to the datafd whose
    /// messages wait stays there, and a [`Handle::send`] does not return. A link that took nothing in
    /// this time is not waited for any more until it takes a packet
    /// ([`ChannelStats::tx_queue_full`](crate::ChannelStats::tx_queue_full)). Where it takes others, packets
    /// wait for their turn ten times as long. A message of which a part
    /// has left is also given up when 2048 others have overtaken it, and control packets wait for 50 ms
    /// at most, because what they say does not stay true.
    #[must_use]
    pub fn send_timeout(mut self, most: Duration) -> Self {
        self.send_timeout = most;
        self
    }

    /// Makes the handle and starts its threads. Takes about a millisecond.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
    pub fn build(self) -> Result<Handle, Error> {
        let mut cookie_key = [0; 16];
        getrandom::fill(&mut cookie_key).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or_default();
            Error::os(Operation::ReadRandomBytes, errno, error)
        })?;
        let config = EngineConfig { host: self.host, cookie_key };
        let usual = || if is_real_time() { Duration::ZERO } else { BUSY_POLL };
        let settings = Settings {
            busy_poll: self.busy_poll.unwrap_or_else(usual),
            send_timeout: self.send_timeout,
        };
        Handle::start(&config, &settings)
    }
}

/// Longer than it takes two hosts that sleep to answer each other, so that they get out of it; and what KVM
/// looks for before it stops an idle processor.
const BUSY_POLL: Duration = Duration::from_micros(200);

/// Whether the threads that this one starts are scheduled in real time.
fn is_real_time() -> bool {
    fs::read_to_string("/proc/thread-self/stat").is_ok_and(|stat| has_real_time_policy(&stat))
}

/// Field 41 of `proc_pid_stat(5)` is the policy. The second, in parentheses, may have spaces and
/// parentheses itself.
fn has_real_time_policy(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map(|(_, third_on)| third_on);
    let policy = fields.and_then(|fields| fields.split_whitespace().nth(41 - 3));
    // SCHED_FIFO, SCHED_RR and SCHED_DEADLINE of sched(7).
    matches!(policy, Some("1" | "2" | "6"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_scheduling_is_read_from_where_the_kernel_tells_it() {
        let own = fs::read_to_string("/proc/thread-self/stat").unwrap();
        assert!(!has_real_time_policy(&own), "tests run as everybody else: {own}");
        // As it was under `chrt -f 10`.
        let fifo = "10743 (a) b)) R 10679 10679 26253 0 -1 4194560 183 0 2 0 0 0 0 0 -11 0 1 0 2864083 \
                    3133440 389 18446744073709551615 94824383254528 94824383274409 140724649216080 0 0 \
                    0 0 0 0 0 0 0 17 1 10 1 0 0 0 94824383290416 94824383292032 94824506490880 \
                    140724649220779 140724649220806 140724649220806 140724649222123 0";
        assert!(has_real_time_policy(fifo));
        assert!(!has_real_time_policy("nonsense"));
    }

    #[test]
    fn how_long_the_threads_look_for_more_is_what_was_asked_for() {
        let host = HostId::new(1);
        assert_eq!(Handle::new(host).unwrap().busy_poll(), BUSY_POLL);
        for most in [Duration::ZERO, Duration::MAX] {
            let handle = Handle::builder(host).busy_poll(most).build().unwrap();
            assert_eq!(handle.busy_poll(), most);
            // The threads have to notice.
            handle.set_forwarding(true).unwrap();
            handle.set_forwarding(false).unwrap();
        }
    }
}
