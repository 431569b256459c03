//! Messages from everybody to everybody, without a pause, and an account of them.

use std::collections::BTreeSet;
use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::wait::{DEADLINE, readable_within};
use kronosnet::{Error, MAX_MESSAGE};

use crate::member::Member;

/// Everybody sends to all others, round by round: the next message leaves when the last has arrived.
/// So none is ever lost for want of room, and what is lost was lost on the way.
#[derive(Debug)]
pub(crate) struct Traffic<'a> {
    members: &'a [Member],
    length: usize,
    rounds: usize,
    /// The numbers of the messages that each received.
    arrived: Vec<BTreeSet<usize>>,
    /// How many messages that were allowed to be lost were.
    missed: usize,
}

/// How long a message that may be lost is waited for. Nothing depends on it but how many are.
const SHORTLY: Duration = Duration::from_millis(5);

impl<'a> Traffic<'a> {
    /// Messages of so many bytes. All that arrived before is forgotten.
    pub(crate) fn new(members: &'a [Member], length: usize) -> Self {
        let arrived = members.iter().map(|_| BTreeSet::new()).collect();
        Self { members, length, rounds: 0, arrived, missed: 0 }
    }

    /// Everybody sends a message, which arrives at all others, or the test fails.
    pub(crate) fn round(&mut self) {
        self.round_with_losses(|_, _| false);
    }

    /// As [`Traffic::round`], but between these hosts, called with their ids, messages may be
    /// lost.
    pub(crate) fn round_with_losses(&mut self, may_lose: impl Fn(u16, u16) -> bool) {
        self.rounds += 1;
        let mut errors = Vec::new();
        for member in self.members {
            let message = message(self.length, self.number(member.id()));
            // Through the thread of the handle, or in this one.
            if self.rounds % 2 == 0 {
                nix::unistd::write(&member.datafd, &message).unwrap();
            } else {
                let sent = member.datafd.send(&message);
                errors.extend(sent.err().map(|error| (member.id(), error)));
            }
        }
        // First those that must arrive, which leaves the others time.
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

    /// How many messages were lost of those that may be.
    pub(crate) fn lost(&self) -> usize {
        self.missed
    }

    /// Messages of all senders have different numbers.
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

    /// Takes in the next message of a host, if there is one by then.
    fn receive(&mut self, at: usize, timeout: Duration) -> bool {
        let datafd = &self.members[at].datafd;
        if !readable_within(datafd, timeout) {
            return false;
        }
        let mut buffer = vec![0; MAX_MESSAGE];
        let length = datafd.recv(&mut buffer).unwrap();
        let number = usize::from_le_bytes(buffer[..8].try_into().unwrap());
        assert!(buffer[..length] == message(self.length, number), "{number} came out damaged");
        if !self.arrived[at].insert(number) {
            panic!("{number} came out twice");
        }
        true
    }
}
