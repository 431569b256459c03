//! The receivers of our messages: what each of them has received, and how much more may be sent.
//!
//! A receiver that is a `knet cat` returns credit for what it has taken out of its buffers. The numbers
//! are totals, so that lost notices do not matter: a sender that waits asks again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kronosnet::HostId;
use parking_lot::{Condvar, Mutex};

use crate::cat::notice::{Body, Credit, Notice};

/// All receivers.
#[derive(Debug)]
pub(crate) struct Destinations {
    hosts: Mutex<BTreeMap<HostId, Destination>>,
    /// Notified when a credit arrives.
    changed: Condvar,
    /// The random number of this process.
    own: u64,
}

/// What is known about a receiver.
#[derive(Debug, Default)]
struct Destination {
    /// The random number of its process. Without one, it has not answered, and is no `knet cat` or is
    /// not ready.
    receiver: Option<u64>,
    sent: u64,
    arrived: u64,
    taken: u64,
    /// The messages since `receiver` became known that never arrived.
    missing: u64,
    /// All messages that never arrived.
    lost: u64,
    /// How much may be in flight, in bytes of its memory.
    window: usize,
    /// The cost of each message that it has not taken, and their sum.
    costs: VecDeque<usize>,
    in_flight: usize,
    /// How many credits in a row reported nothing new.
    stale: u32,
    /// `true` if it wants no more messages.
    done: bool,
    /// `true` if it was not reachable the last time that it was asked for credit.
    absent: bool,
}

/// The state of a receiver at the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) host: HostId,
    pub(crate) sent: u64,
    /// How many messages it is known to have received.
    pub(crate) arrived: u64,
    /// How many are known to be lost.
    pub(crate) lost: u64,
}

impl Destinations {
    /// Creates an account for messages to these hosts.
    pub(crate) fn new(own: u64, hosts: impl Iterator<Item = HostId>) -> Self {
        let hosts = hosts.map(|host| (host, Destination::default())).collect();
        Self { hosts: Mutex::new(hosts), changed: Condvar::new(), own }
    }

    /// Returns `true` if every host has answered a probe.
    pub(crate) fn all_answered(&self) -> bool {
        self.hosts.lock().values().all(|host| host.receiver.is_some())
    }

    /// Waits while no host wants more messages. Returns `true` if that is still so when `timeout` expires.
    pub(crate) fn all_done(&self, timeout: Duration) -> bool {
        let mut hosts = self.hosts.lock();
        let all = |hosts: &mut BTreeMap<_, Destination>| {
            !hosts.is_empty() && hosts.values().all(|host| host.done)
        };
        self.changed.wait_while_for(&mut hosts, all, timeout).timed_out()
    }

    /// Waits until every host has room for a message of this cost. Returns those that have none when
    /// `timeout` expires.
    pub(crate) fn wait_for_room(&self, cost: usize, timeout: Duration) -> Vec<HostId> {
        self.wait_while(timeout, |host| !host.has_room(cost))
    }

    /// Waits until every host has received everything. Returns those that have not, as far as is known,
    /// when `timeout` expires.
    pub(crate) fn wait_until_settled(&self, timeout: Duration) -> Vec<HostId> {
        self.wait_while(timeout, |host| {
            host.receiver.is_some() && !host.done && host.on_the_way() > 0
        })
    }

    /// Waits while a host is such. Returns those that still are when `timeout` expires.
    fn wait_while(&self, timeout: Duration, is_such: impl Fn(&Destination) -> bool) -> Vec<HostId> {
        let mut hosts = self.hosts.lock();
        let any = |hosts: &mut BTreeMap<_, _>| hosts.values().any(&is_such);
        let _ = self.changed.wait_while_for(&mut hosts, any, timeout);
        hosts.iter().filter(|(_, host)| is_such(host)).map(|(&id, _)| id).collect()
    }

    /// Records that a host is not reachable. It limits nothing until it returns credit again.
    pub(crate) fn absent(&self, id: HostId) {
        if let Some(host) = self.hosts.lock().get_mut(&id) {
            host.absent = true;
        }
    }

    /// Records that a message of this cost is about to be sent to all hosts.
    pub(crate) fn sending(&self, cost: usize) {
        for host in self.hosts.lock().values_mut().filter(|host| !host.done) {
            host.sent += 1;
            if host.receiver.is_some() {
                host.costs.push_back(cost);
                host.in_flight += cost;
            }
        }
    }

    /// Records that the message was not sent to these hosts.
    pub(crate) fn not_sent_to(&self, failed: impl Iterator<Item = HostId>) {
        let mut hosts = self.hosts.lock();
        for id in failed {
            if let Some(host) = hosts.get_mut(&id).filter(|host| !host.done) {
                host.missing += 1;
                host.lost += 1;
                host.release();
            }
        }
    }

    /// Records that the message was sent to no host at all, and will be sent again.
    pub(crate) fn not_sent(&self) {
        for host in self.hosts.lock().values_mut().filter(|host| !host.done) {
            host.sent = host.sent.saturating_sub(1);
            host.in_flight -= host.costs.pop_back().unwrap_or(0);
        }
    }

    /// Handles the credit of a host.
    pub(crate) fn credit(&self, id: HostId, number: u64, credit: Credit) {
        if number != self.own {
            return;
        }
        if let Some(host) = self.hosts.lock().get_mut(&id) {
            host.credit(credit);
            self.changed.notify_all();
        }
    }

    /// Returns the notice that asks a host for credit.
    pub(crate) fn probe(&self, id: HostId) -> Notice {
        let sent = self.hosts.lock().get(&id).map_or(0, |host| host.sent);
        Notice { to: id, sender: self.own, body: Body::Probe { sent } }
    }

    /// Returns what became of the messages, of hosts that return credit and wanted all messages.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let hosts = self.hosts.lock();
        let counted = hosts.iter().filter(|(_, host)| host.receiver.is_some() && !host.done);
        let outcome = |(&id, host): (&HostId, &Destination)| Outcome {
            host: id,
            sent: host.sent,
            arrived: host.sent.saturating_sub(host.lost + host.on_the_way()),
            lost: host.lost,
        };
        counted.map(outcome).collect()
    }
}

impl Destination {
    /// Returns `true` if one more message of this cost may be sent. A message beyond the window is sent
    /// once nothing else is in flight.
    fn has_room(&self, cost: usize) -> bool {
        let limited = self.receiver.is_some() && !self.done && !self.absent && self.in_flight > 0;
        !limited || self.in_flight + cost <= self.window
    }

    /// Returns how many messages have neither arrived nor are known to be lost.
    fn on_the_way(&self) -> u64 {
        self.sent.saturating_sub(self.arrived + self.missing)
    }

    fn credit(&mut self, credit: Credit) {
        if self.receiver != Some(credit.receiver) {
            // What was on its way to its predecessor is lost; the new process begins after it.
            if self.receiver.is_some() {
                self.lost += self.on_the_way();
            }
            self.receiver = Some(credit.receiver);
            self.missing = 0;
            (self.arrived, self.taken, self.stale) = (credit.arrived, credit.taken, 0);
        } else if credit.arrived > self.arrived || credit.taken > self.taken {
            self.arrived = self.arrived.max(credit.arrived);
            self.taken = self.taken.max(credit.taken);
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        self.window = credit.window as usize;
        (self.done, self.absent) = (credit.done, false);
        // What was believed lost was only late.
        let late = (self.arrived + self.missing).saturating_sub(self.sent).min(self.missing);
        self.missing -= late;
        self.lost = self.lost.saturating_sub(late);
        if self.stale >= LOST_AFTER {
            let gone = self.on_the_way();
            self.missing += gone;
            self.lost += gone;
            self.stale = 0;
        }
        self.release();
    }

    /// Forgets the costs of messages that are no longer in flight.
    fn release(&mut self) {
        let left = self.sent.saturating_sub(self.taken + self.missing);
        while self.costs.len() as u64 > left {
            self.in_flight -= self.costs.pop_front().unwrap_or(0);
        }
    }
}

/// After how many answers without anything new, each to a probe of its own, what has not arrived is
/// lost. Probes overtake messages on another link, but not for so long.
const LOST_AFTER: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId::new(2);
    const OWN: u64 = 1;

    fn credit(arrived: u64, taken: u64) -> Credit {
        Credit { receiver: 9, arrived, taken, window: 1000, done: false }
    }

    fn destinations() -> Destinations {
        let destinations = Destinations::new(OWN, [HOST].into_iter());
        destinations.credit(HOST, OWN, credit(0, 0));
        destinations
    }

    fn send(destinations: &Destinations, count: usize, cost: usize) {
        (0..count).for_each(|_| destinations.sending(cost));
    }

    fn without_room(destinations: &Destinations, cost: usize) -> Vec<HostId> {
        destinations.wait_for_room(cost, Duration::ZERO)
    }

    fn unsettled(destinations: &Destinations) -> Vec<HostId> {
        destinations.wait_until_settled(Duration::ZERO)
    }

    fn outcome(destinations: &Destinations) -> (u64, u64, u64) {
        let [Outcome { sent, arrived, lost, .. }] = destinations.outcomes()[..] else { panic!() };
        (sent, arrived, lost)
    }

    #[test]
    fn the_window_limits_what_is_in_flight() {
        let destinations = destinations();
        send(&destinations, 3, 300);
        assert!(without_room(&destinations, 100).is_empty());
        assert_eq!(without_room(&destinations, 101), [HOST]);
        destinations.credit(HOST, OWN, credit(3, 1));
        assert!(without_room(&destinations, 400).is_empty());
        destinations.credit(HOST, OWN + 1, credit(3, 3));
        assert_eq!(without_room(&destinations, 401), [HOST], "the credit was for another process");
        destinations.credit(HOST, OWN, credit(3, 3));
        assert!(without_room(&destinations, 5000).is_empty(), "nothing else is in flight");
    }

    #[test]
    fn a_host_that_does_not_answer_is_not_limited() {
        let destinations = Destinations::new(OWN, [HOST].into_iter());
        assert!(!destinations.all_answered());
        send(&destinations, 3, 1000);
        assert!(without_room(&destinations, 1000).is_empty());
        assert!(destinations.outcomes().is_empty());
    }

    #[test]
    fn what_does_not_arrive_is_lost_after_some_answers() {
        let destinations = destinations();
        send(&destinations, 5, 100);
        for _ in 0..=LOST_AFTER {
            assert_eq!(unsettled(&destinations), [HOST]);
            destinations.credit(HOST, OWN, credit(3, 3));
        }
        assert!(unsettled(&destinations).is_empty());
        assert_eq!(outcome(&destinations), (5, 3, 2));
        assert!(without_room(&destinations, 1000).is_empty());
        destinations.credit(HOST, OWN, credit(5, 5));
        assert_eq!(outcome(&destinations), (5, 5, 0), "they were only late");
    }

    #[test]
    fn a_restarted_receiver_begins_after_what_its_predecessor_missed() {
        let destinations = destinations();
        send(&destinations, 5, 100);
        destinations.credit(HOST, OWN, credit(3, 3));
        let restarted = Credit { receiver: 10, ..credit(5, 5) };
        destinations.credit(HOST, OWN, restarted);
        assert_eq!(outcome(&destinations), (5, 3, 2));
        send(&destinations, 1, 100);
        destinations.credit(HOST, OWN, Credit { arrived: 6, taken: 6, ..restarted });
        assert_eq!(outcome(&destinations), (6, 4, 2));
    }

    #[test]
    fn a_message_that_was_not_sent_is_not_in_flight() {
        let destinations = destinations();
        send(&destinations, 2, 500);
        destinations.not_sent();
        assert!(without_room(&destinations, 500).is_empty());
        destinations.sending(500);
        destinations.not_sent_to([HOST].into_iter());
        assert!(without_room(&destinations, 500).is_empty());
        destinations.credit(HOST, OWN, credit(1, 1));
        assert_eq!(outcome(&destinations), (2, 1, 1));
    }

    #[test]
    fn an_absent_host_limits_nothing_until_it_is_back() {
        let destinations = destinations();
        send(&destinations, 2, 500);
        destinations.absent(HOST);
        assert!(without_room(&destinations, 500).is_empty());
        destinations.credit(HOST, OWN, credit(1, 0));
        assert_eq!(without_room(&destinations, 500), [HOST]);
    }

    #[test]
    fn a_receiver_that_is_done_is_not_counted() {
        let destinations = destinations();
        send(&destinations, 3, 500);
        destinations.credit(HOST, OWN, Credit { done: true, ..credit(1, 1) });
        assert!(destinations.all_done(Duration::ZERO) && unsettled(&destinations).is_empty());
        assert!(without_room(&destinations, 500).is_empty() && destinations.outcomes().is_empty());
    }
}
