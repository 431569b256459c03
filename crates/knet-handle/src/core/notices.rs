//! The queue of events for the application.
//!
//! Any thread adds to it, without blocking. The thread knet-notify takes from it and reports to the
//! application.
//!
//! Any thread adds to it, without waiting. The thread knet-notify takes from it and reports to the
//! application.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, bounded};
use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent, Rejection};
use parking_lot::{Condvar, Mutex};

use crate::event::DatafdEvent;

/// An event on its way to the application.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Datafd(DatafdEvent),
    Host(HostEvent),
    Link(LinkEvent),
    Mtu(MtuEvent),
    Address(AddressEvent),
    /// For the log only.
    Rejected(Rejection),
}

/// Where events wait for the notify thread.
#[derive(Debug)]
pub(crate) struct Notices {
    queue: Mutex<Queue>,
    wake: Sender<()>,
    woken: Receiver<()>,
    /// Whether an event is being reported now. Never locked while it is.
    reporting: Mutex<bool>,
    reported: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    notices: VecDeque<Notice>,
    dropped: Dropped,
}

/// How many notices of each kind were dropped since the last of the kind was taken.
#[derive(Debug, Default)]
struct Dropped {
    datafd: u64,
    host: u64,
    link: u64,
    mtu: u64,
    address: u64,
    rejected: u64,
}

impl Dropped {
    fn like(&mut self, notice: &Notice) -> &mut u64 {
        match notice {
            Notice::Datafd(_) => &mut self.datafd,
            Notice::Host(_) => &mut self.host,
            Notice::Link(_) => &mut self.link,
            Notice::Mtu(_) => &mut self.mtu,
            Notice::Address(_) => &mut self.address,
            Notice::Rejected(_) => &mut self.rejected,
        }
    }
}

impl Default for Notices {
    fn default() -> Self {
        let (wake, woken) = bounded(1);
        Self {
            queue: Mutex::default(),
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
        let mut queue = self.queue.lock();
        if queue.notices.len() >= MAX_QUEUED {
            // A callback of the application hangs. Old events are of less use to it than new ones.
            if let Some(oldest) = queue.notices.pop_front() {
                *queue.dropped.like(&oldest) += 1;
            }
        }
        queue.notices.push_back(notice);
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
    /// was taken.
    pub(crate) fn pop(&self) -> Option<(Notice, u64)> {
        let mut queue = self.queue.lock();
        let notice = queue.notices.pop_front()?;
        let dropped = std::mem::take(queue.dropped.like(&notice));
        Some((notice, dropped))
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

/// How many events may wait for a callback that does not return.
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

    /// That a host came up, by its loopback link.
    fn host() -> Notice {
        let (now, host) = (Instant::now(), HostId::new(1));
        let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
        engine.add_host(host).unwrap();
        engine.add_link(now, host, LinkId::ALL[0], LinkPeer::Loopback).unwrap();
        engine.set_link_enabled(now, host, LinkId::ALL[0], true).unwrap();
        let events = std::iter::from_fn(|| engine.poll_event());
        let mut hosts = events.filter_map(|event| match event {
            Event::Host(event) => Some(Notice::Host(event)),
            _ => None,
        });
        hosts.next().unwrap()
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_it_for_its_kind() {
        let notices = Notices::default();
        let host = host();
        (0..3).for_each(|_| notices.push(host.clone()));
        (0..MAX_QUEUED as RawFd).for_each(|number| notices.push(datafd(number)));
        (0..2).for_each(|_| notices.push(host.clone()));

        let (first, dropped) = notices.pop().unwrap();
        let Notice::Datafd(first) = first else { panic!("{first:?}") };
        assert_eq!((first.datafd, dropped), (2, 2), "two gave way to the last two hosts");
        assert_eq!(notices.pop().map(|(_, dropped)| dropped), Some(0), "reported once");
        let hosts = std::iter::from_fn(|| notices.pop())
            .filter_map(|(notice, dropped)| matches!(notice, Notice::Host(_)).then_some(dropped));
        assert_eq!(hosts.collect::<Vec<_>>(), [3, 0]);
    }
}
