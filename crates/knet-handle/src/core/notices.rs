//! The queues of events for the application, one per kind.
//!
//! Any thread adds to them, without blocking. The thread knet-notify takes from them and reports to the
//! application, in the order in which the events happened.

use crossbeam_channel::{Receiver, Sender, bounded};
use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent, Rejection};
use parking_lot::{Condvar, Mutex};

use crate::core::event_queue::EventQueue;
use crate::core::subject::{About, Subject};
use crate::event::DatafdEvent;

/// An event on its way to the application.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Datafd(DatafdEvent),
    Host(HostEvent),
    Link(LinkEvent),
    Mtu(MtuEvent),
    Address(AddressEvent),
    Rejected(Rejection),
}

/// Where events wait for the notify thread.
#[derive(Debug)]
pub(crate) struct Notices {
    queues: Mutex<Queues>,
    wake: Sender<()>,
    woken: Receiver<()>,
    /// Whether an event is being reported now. Never locked while it is.
    reporting: Mutex<bool>,
    reported: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// How many events were added, which is the age of the next one.
    added: u64,
    datafd: Queue<DatafdEvent>,
    host: Queue<HostEvent>,
    link: Queue<LinkEvent>,
    mtu: Queue<MtuEvent>,
    address: Queue<AddressEvent>,
    rejected: Queue<Rejection>,
}

/// The events of one kind, with their ages.
#[derive(Debug)]
struct Queue<T> {
    events: EventQueue<Aged<T>>,
    /// How many of the dropped events were reported.
    reported: u64,
}

/// An event with its age.
#[derive(Debug)]
struct Aged<T> {
    age: u64,
    event: T,
}

impl<T: About> About for Aged<T> {
    fn subject(&self) -> Subject {
        self.event.subject()
    }

    fn absorb(&mut self, earlier: &Self) {
        self.event.absorb(&earlier.event);
    }
}

impl<T: About> Queue<T> {
    fn push(&mut self, age: u64, event: T) {
        self.events.push(Aged { age, event });
    }

    fn age(&self) -> Option<u64> {
        self.events.front().map(|aged| aged.age)
    }

    /// Takes the oldest event if it has this age, with the number of those that were dropped since the
    /// previous one was taken.
    fn pop_if(&mut self, age: u64) -> Option<(T, u64)> {
        let Aged { event, .. } = (self.age()? == age).then(|| self.events.pop())??;
        let dropped = self.events.dropped() - self.reported;
        self.reported = self.events.dropped();
        Some((event, dropped))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { events: EventQueue::new(MAX_QUEUED), reported: 0 }
    }
}

impl Default for Notices {
    fn default() -> Self {
        let (wake, woken) = bounded(1);
        Self {
            queues: Mutex::default(),
            wake,
            woken,
            reporting: Mutex::default(),
            reported: Condvar::new(),
        }
    }
}

impl Notices {
    /// Queues an event; [`Notices::wake`] must follow. Accesses memory only, so it may be called with the
    /// engine locked, which keeps events in the order in which they happened.
    pub(crate) fn push(&self, notice: Notice) {
        let mut queues = self.queues.lock();
        let age = queues.added;
        queues.added += 1;
        match notice {
            Notice::Datafd(event) => queues.datafd.push(age, event),
            Notice::Host(event) => queues.host.push(age, event),
            Notice::Link(event) => queues.link.push(age, event),
            Notice::Mtu(event) => queues.mtu.push(age, event),
            Notice::Address(event) => queues.address.push(age, event),
            Notice::Rejected(rejection) => queues.rejected.push(age, rejection),
        }
    }

    /// Queues an event of a datafd and wakes the notify thread.
    pub(crate) fn push_datafd(&self, event: DatafdEvent) {
        self.push(Notice::Datafd(event));
        self.wake();
    }

    /// Wakes the notify thread.
    pub(crate) fn wake(&self) {
        // A full channel means that a wake-up is pending.
        let _ = self.wake.try_send(());
    }

    /// Blocks until the next wake-up.
    pub(crate) fn wait(&self) {
        // The sender lives in `self`, so this cannot be disconnected.
        let _ = self.woken.recv();
    }

    /// Takes the oldest event. Returns with it how many of its kind were dropped since the last one that
    /// was taken, because later ones made them superfluous.
    pub(crate) fn pop(&self) -> Option<(Notice, u64)> {
        let mut queues = self.queues.lock();
        let Queues { datafd, host, link, mtu, address, rejected, .. } = &mut *queues;
        let ages = [datafd.age(), host.age(), link.age(), mtu.age(), address.age(), rejected.age()];
        let oldest = ages.into_iter().flatten().min()?;
        if let Some((event, dropped)) = datafd.pop_if(oldest) {
            return Some((Notice::Datafd(event), dropped));
        }
        if let Some((event, dropped)) = host.pop_if(oldest) {
            return Some((Notice::Host(event), dropped));
        }
        if let Some((event, dropped)) = link.pop_if(oldest) {
            return Some((Notice::Link(event), dropped));
        }
        if let Some((event, dropped)) = mtu.pop_if(oldest) {
            return Some((Notice::Mtu(event), dropped));
        }
        if let Some((event, dropped)) = address.pop_if(oldest) {
            return Some((Notice::Address(event), dropped));
        }
        rejected.pop_if(oldest).map(|(event, dropped)| (Notice::Rejected(event), dropped))
    }

    /// Begins to report an event, if `prepare` returns something to report it with; [`Notices::end`] must
    /// follow.
    pub(crate) fn begin<T>(&self, prepare: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut reporting = self.reporting.lock();
        let prepared = prepare()?;
        *reporting = true;
        Some(prepared)
    }

    pub(crate) fn end(&self) {
        *self.reporting.lock() = false;
        self.reported.notify_all();
    }

    /// Waits until no event is being reported, and runs `work`, which must be fast, before the next one is.
    pub(crate) fn while_silent<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut reporting = self.reporting.lock();
        while *reporting {
            self.reported.wait(&mut reporting);
        }
        work()
    }
}

/// How many events of a kind may wait for a callback that does not return, before only the last of each link,
/// host and datafd are kept.
const MAX_QUEUED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::fd::RawFd;
    use std::time::Instant;

    use knet_channel::Channel;
    use knet_engine::{Engine, EngineConfig, Event, LinkPeer};
    use knet_poller::Token;
    use knet_wire::{HostId, LinkId};

    use super::*;
    use crate::datafd_key::DatafdId;
    use crate::event::{DatafdProblem, Direction};

    fn datafd(number: RawFd) -> Notice {
        Notice::Datafd(DatafdEvent {
            id: DatafdId { token: Token(0), number },
            datafd: number,
            channel: Channel::ALL[0],
            direction: Direction::Tx,
            problem: DatafdProblem::EndOfFile,
        })
    }

    /// That a loopback link came up, and its host.
    fn link_and_host() -> (LinkEvent, HostEvent) {
        let (now, host) = (Instant::now(), HostId::new(1));
        let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
        engine.add_host(host).unwrap();
        engine.add_link(now, host, LinkId::ALL[0], LinkPeer::Loopback).unwrap();
        engine.set_link_enabled(now, host, LinkId::ALL[0], true).unwrap();
        let (mut links, mut hosts) = (Vec::new(), Vec::new());
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Link(event) => links.push(event),
                Event::Host(event) => hosts.push(event),
                _ => {}
            }
        }
        (links.remove(0), hosts.remove(0))
    }

    #[test]
    fn a_flood_about_one_host_or_link_hides_no_other() {
        let (link, host) = link_and_host();
        let ids = [(1, 0), (2, 0), (2, 1)];
        let ids = ids.map(|(host, link)| (HostId::new(host), LinkId::ALL[link]));
        let about = |(host_id, link_id): (HostId, LinkId)| {
            let (mut link, mut host) = (link.clone(), host.clone());
            (link.host, link.link, host.host) = (host_id, link_id, host_id);
            let (host_mtu, link_mtu) = (
                MtuEvent::Host { host: host_id, data_mtu: 1000 },
                MtuEvent::Link { host: host_id, link: link_id, data_mtu: 1000 },
            );
            let of_host = [Notice::Host(host), Notice::Mtu(host_mtu)];
            (of_host, [Notice::Link(link), Notice::Mtu(link_mtu)])
        };
        let [(hosts, links), (other_hosts, other_links), (_, others)] = ids.map(about);
        let pairs = hosts.into_iter().zip(other_hosts).chain(links.into_iter().zip(others.clone()));
        for (one, other) in pairs.chain(other_links.into_iter().zip(others)) {
            let notices = Notices::default();
            notices.push(one.clone());
            (0..2 * MAX_QUEUED).for_each(|_| notices.push(other.clone()));
            let (first, _) = notices.pop().unwrap();
            assert_eq!(format!("{first:?}"), format!("{one:?}"));
        }
    }

    #[test]
    fn a_flood_of_one_kind_drops_nothing_of_another() {
        let notices = Notices::default();
        let host = Notice::Host(link_and_host().1);
        notices.push(host.clone());
        (0..2 * MAX_QUEUED as RawFd).for_each(|number| notices.push(datafd(number)));
        notices.push(host);

        let all: Vec<_> = std::iter::from_fn(|| notices.pop()).collect();
        let is_host = |notice: &Notice| matches!(notice, Notice::Host(_));
        assert!(is_host(&all[0].0) && is_host(&all[all.len() - 1].0), "in their order");
        assert!(all.iter().all(|(notice, dropped)| !is_host(notice) || *dropped == 0));
        let datafds = all.len() as u64 - 2;
        let dropped: u64 = all.iter().map(|(_, dropped)| dropped).sum();
        assert_eq!(datafds + dropped, 2 * MAX_QUEUED as u64);
        let Notice::Datafd(last) = &all[all.len() - 2].0 else { panic!("{all:?}") };
        assert_eq!(last.datafd, 2 * MAX_QUEUED as RawFd - 1);
    }

    #[test]
    fn the_messages_of_dropped_events_are_counted_in_those_that_are_kept() {
        let notices = Notices::default();
        let Notice::Datafd(event) = datafd(1) else { unreachable!() };
        let [full, failed] = [2, 3].map(|messages| match messages {
            2 => DatafdProblem::Full { messages },
            _ => DatafdProblem::WriteFailed { errno: 5, messages },
        });
        for _ in 0..MAX_QUEUED {
            for problem in [full, failed] {
                notices.push(Notice::Datafd(DatafdEvent { problem, ..event.clone() }));
            }
        }
        let mut sums = [0; 2];
        while let Some((Notice::Datafd(event), _)) = notices.pop() {
            match event.problem {
                DatafdProblem::Full { messages } => sums[0] += messages,
                DatafdProblem::WriteFailed { messages, .. } => sums[1] += messages,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sums, [2, 3].map(|messages| messages * MAX_QUEUED as u64));
    }

    #[test]
    fn a_datafd_is_not_blamed_for_its_predecessor() {
        let notices = Notices::default();
        let Notice::Datafd(event) = datafd(1) else { unreachable!() };
        let problem = DatafdProblem::Full { messages: 7 };
        notices.push(Notice::Datafd(DatafdEvent { problem, ..event.clone() }));
        let id = DatafdId { token: Token(32), ..event.id };
        for _ in 0..MAX_QUEUED {
            notices.push(Notice::Datafd(DatafdEvent { id, problem, ..event.clone() }));
        }
        let mut sum = 0;
        while let Some((Notice::Datafd(event), _)) = notices.pop() {
            assert_eq!(event.id, id, "that of the predecessor is superfluous");
            let DatafdProblem::Full { messages } = event.problem else { panic!("{event:?}") };
            sum += messages;
        }
        assert_eq!(sum, 7 * MAX_QUEUED as u64);
    }

    #[test]
    fn a_flood_of_one_problem_does_not_hide_another_of_the_datafd() {
        let notices = Notices::default();
        notices.push(datafd(1));
        for _ in 0..2 * MAX_QUEUED {
            let Notice::Datafd(event) = datafd(1) else { unreachable!() };
            let problem = DatafdProblem::MessageTooLong;
            notices.push(Notice::Datafd(DatafdEvent { problem, ..event }));
        }
        let Some((Notice::Datafd(first), _)) = notices.pop() else { panic!("nothing is left") };
        assert_eq!(first.problem, DatafdProblem::EndOfFile);
    }
}
