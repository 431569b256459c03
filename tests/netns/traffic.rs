//! Continuous traffic among all hosts, and its losses.

use std::collections::BTreeSet;
use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::wait::{DEADLINE, readable_within};
use kronosnet::{Error, MAX_MESSAGE};

use crate::member::Member;

/// Every host sends to all others, round by round: the next message is sent once the last has
/// arrived. So no buffer overflows, and a lost message was lost on its path.
#[derive(Debug)]
pub(crate) struct Traffic<'a> {
    members: &'a [Member],
    length: usize,
    rounds: usize,
    /// The numbers of the messages that each host received.
    arrived: Vec<BTreeSet<usize>>,
    /// How many of the messages that may be lost were lost.
    missed: usize,
}

/// How long to wait for a message that may be lost. It only affects how many count as lost.
const SHORTLY: Duration = Duration::from_millis(5);

impl<'a> Traffic<'a> {
    /// Begins traffic with messages of this length. Messages that arrived earlier are discarded.
    pub(crate) fn new(members: &'a [Member], length: usize) -> Self {
        let arrived = members.iter().map(|_| BTreeSet::new()).collect();
        Self { members, length, rounds: 0, arrived, missed: 0 }
    }

    /// Sends a message from every host, and fails unless it arrives at all others.
    pub(crate) fn round(&mut self) {
        self.round_with_losses(|_, _| false);
    }

    /// Does the same as [`Traffic::round`], but messages between these hosts, given by their ids,
    /// may be lost.
    pub(crate) fn round_with_losses(&mut self, may_lose: impl Fn(u16, u16) -> bool) {
        self.rounds += 1;
        let mut errors = Vec::new();
        for member in self.members {
            let message = message(self.length, self.number(member.id()));
            // On a thread of the handle, or on this one.
            if self.rounds % 2 == 0 {
                nix::unistd::write(&member.datafd, &message).unwrap();
            } else {
                let sent = member.datafd.send(&message);
                errors.extend(sent.err().map(|error| (member.id(), error)));
            }
        }
        // First the messages that must arrive, which leaves time for the others.
        for patient in [true, false] {
            for (at, to) in self.members.iter().enumerate() {
                for from in self.members.iter().filter(|from| from.id() != to.id()) {
                    if may_lose(from.id(), to.id()) != patient {
                        self.wait(from.id(), at, patient, &errors);
                    }
                }
            }
        }
    }

    /// Returns how many of the messages that may be lost were lost.
    pub(crate) fn lost(&self) -> usize {
        self.missed
    }

    /// Returns the number of a message, which differs among all senders.
    fn number(&self, from: u16) -> usize {
        usize::from(from) << 32 | self.rounds
    }

    fn wait(&mut self, from: u16, at: usize, must: bool, errors: &[(u16, Error)]) {
        let number = self.number(from);
        let timeout = if must { DEADLINE } else { SHORTLY };
        while !self.arrived[at].contains(&number) {
            if self.receive(at, timeout) {
                continue;
            }
            let to = self.members[at].id();
            assert!(!must, "{from}'s message {} to {to} is lost: {errors:?}", self.rounds);
            self.missed += 1;
            return;
        }
    }

    /// Receives the next message of a host, if one arrives in time.
    fn receive(&mut self, at: usize, timeout: Duration) -> bool {
        let datafd = &self.members[at].datafd;
        if !readable_within(datafd, timeout) {
            return false;
        }
        let mut buffer = vec![0; MAX_MESSAGE];
        let length = datafd.recv(&mut buffer).unwrap();
        let number = usize::from_le_bytes(buffer[..8].try_into().unwrap());
        assert!(buffer[..length] == message(self.length, number), "{number} arrived damaged");
        if !self.arrived[at].insert(number) {
            panic!("{number} arrived twice");
        }
        true
    }
}
