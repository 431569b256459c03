//! A linked pair of hosts, one of each implementation, and messages between them.

use std::os::fd::AsFd;

use knet_tests::relay::Relay;
use knet_tests::wait::{is_readable, read, until, writable};
use nix::errno::Errno;

use crate::network::Family;
use crate::node::{Care, Datafd, Node};
use crate::ours::Ours;
use crate::theirs::Theirs;

/// Host 1 of kronosnet, and host 2 of libknet. They reach each other.
#[derive(Debug)]
pub(crate) struct Pair {
    ours: Ours,
    theirs: Theirs,
    links: u8,
}

impl Pair {
    /// Connects the hosts with this many links.
    pub(crate) fn new(family: Family, links: u8) -> Self {
        Self::linked(family, &(0..links).map(|_| None).collect::<Vec<_>>())
    }

    /// Connects the hosts with a link through each of these relays, or directly where there is
    /// none.
    pub(crate) fn linked(family: Family, relays: &[Option<(&Relay, Care)>]) -> Self {
        let links = u8::try_from(relays.len()).unwrap();
        let pair = Self { ours: Ours::new(1), theirs: Theirs::new(2), links };
        for (link, relay) in (0..links).zip(relays) {
            let Some((relay, how)) = relay else {
                connect(family, &pair.ours, &pair.theirs, link, &Care::default());
                continue;
            };
            let (here, there) = (family.address(1, link), family.address(2, link));
            pair.ours.connect(2, link, here, Some(relay.for_one()), how);
            pair.theirs.connect(1, link, there, Some(relay.for_two()), how);
        }
        meet(&pair.ours, &pair.theirs);
        pair.wait_up();
        pair
    }

    /// Adds a datafd for a channel to both, ours first.
    pub(crate) fn open(&self, channel: u8) -> (Datafd, Datafd) {
        (self.ours.open(channel), self.theirs.open(channel))
    }

    /// Returns both directions, the sender first.
    pub(crate) fn ways(&self) -> [(&dyn Node, &dyn Node); 2] {
        [(&self.ours, &self.theirs), (&self.theirs, &self.ours)]
    }

    /// Waits until every link is up on both sides.
    pub(crate) fn wait_up(&self) {
        for (at, peer) in self.ways() {
            for link in 0..self.links {
                until("every link comes up", || at.link(peer.id(), link).up);
            }
        }
    }

    /// Calls [`nothing_more`] for these two.
    pub(crate) fn nothing_more(&self, datafds: &[&Datafd]) {
        nothing_more(&[&self.ours, &self.theirs], datafds);
    }
}

/// Waits until everything that these hosts sent each other has been received, then asserts that
/// nothing is left in any of their datafds, such as a duplicate.
#[track_caller]
pub(crate) fn nothing_more(nodes: &[&dyn Node], datafds: &[&Datafd]) {
    let ways = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to)));
    for (from, to) in ways.filter(|(from, to)| from.id() != to.id()) {
        until("all packets have arrived", || {
            let ((sent, _), (_, received)) =
                (from.data_packets(to.id()), to.data_packets(from.id()));
            sent == received
        });
    }
    for datafd in datafds {
        assert!(!is_readable(datafd), "{} bytes too many", read(datafd).len());
    }
}

/// Links two hosts, from both sides.
pub(crate) fn connect(family: Family, one: &dyn Node, two: &dyn Node, link: u8, how: &Care) {
    let (here, there) = (family.address(one.id(), link), family.address(two.id(), link));
    one.connect(two.id(), link, here, Some(there), how);
    two.connect(one.id(), link, there, Some(here), how);
}

/// Waits until two hosts reach each other.
#[track_caller]
pub(crate) fn meet(one: &dyn Node, two: &dyn Node) {
    one.wait(two.id(), true);
    two.wait(one.id(), true);
}

/// Writes a message to a datafd, when there is room for it.
#[track_caller]
pub(crate) fn write(datafd: impl AsFd, message: &[u8]) {
    loop {
        match nix::unistd::write(&datafd, message) {
            Ok(length) => return assert_eq!(length, message.len()),
            Err(Errno::EAGAIN) => writable(&datafd),
            Err(errno) => panic!("failed to write a message: {errno}"),
        }
    }
}

/// Writes messages to one datafd and expects them from others, in this order. There are never more
/// in transit than any buffer holds.
#[track_caller]
pub(crate) fn stream<M>(from: &Datafd, to: &[&Datafd], messages: M)
where
    M: IntoIterator<Item = Vec<u8>>,
{
    window(from, messages, |under_way| {
        for datafd in to {
            assert_same(&read(datafd), &under_way[0]);
        }
        under_way.remove(0)
    });
}

/// Does the same as [`stream`], but messages may overtake each other, as they do on different
/// links.
#[track_caller]
pub(crate) fn stream_in_any_order<M>(from: &Datafd, to: &Datafd, messages: M)
where
    M: IntoIterator<Item = Vec<u8>>,
{
    window(from, messages, |under_way| {
        let found = read(to);
        let place = under_way.iter().position(|wanted| *wanted == found);
        let place =
            place.unwrap_or_else(|| panic!("{} unexpected bytes, or a duplicate", found.len()));
        under_way.remove(place)
    });
}

/// Writes messages, and receives some before too many are in transit, and the rest in the end.
#[track_caller]
fn window<M>(from: &Datafd, messages: M, mut expect: impl FnMut(&mut Vec<Vec<u8>>) -> Vec<u8>)
where
    M: IntoIterator<Item = Vec<u8>>,
{
    let mut under_way: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        while !under_way.is_empty() && (under_way.len() >= MAX_MESSAGES || bytes >= MAX_BYTES) {
            bytes -= expect(&mut under_way).len();
        }
        write(from, &message);
        bytes += message.len();
        under_way.push(message);
    }
    while !under_way.is_empty() {
        expect(&mut under_way);
    }
}

/// Asserts that two messages are equal. If not, it shows where they differ instead of the messages.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], wanted: &[u8]) {
    let place = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{} bytes instead of {}; the first difference is at {place:?}",
        found.len(),
        wanted.len()
    );
}

/// The limit of messages in transit. A fragment of the smallest packets takes a kilobyte of a
/// socket's buffer, and the smallest buffer of any system has 208 kB.
const MAX_BYTES: usize = 32 * 1024;
const MAX_MESSAGES: usize = 32;
