//! What an event is about: a later event about the same makes it superfluous.

use std::mem::{Discriminant, discriminant};

use knet_channel::Channel;
use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent, Rejection, RejectionReason};
use knet_wire::{HostId, LinkId};

use crate::event::{DatafdEvent, DatafdProblem};

/// See the module.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Subject {
    /// A kind of problem of a channel's datafd: an end of file is not superseded by a full buffer.
    Datafd(Channel, Discriminant<DatafdProblem>),
    Host(HostId),
    Link(HostId, LinkId),
    LinkMtu(HostId, LinkId),
    LinkAddress(HostId, LinkId),
    HostMtu(HostId),
    HandleMtu,
    Rejected(Discriminant<RejectionReason>),
}

/// An event that has a subject.
pub(crate) trait About {
    fn subject(&self) -> Subject;

    /// Counts what an earlier event about the same counted, which is dropped because of this one.
    fn absorb(&mut self, _earlier: &Self) {}
}

impl About for DatafdEvent {
    fn subject(&self) -> Subject {
        Subject::Datafd(self.channel, discriminant(&self.problem))
    }

    fn absorb(&mut self, earlier: &Self) {
        use DatafdProblem::{Full, WriteFailed};
        if self.id != earlier.id {
            // That datafd was removed, and this one lost nothing of it.
            return;
        }
        match (&mut self.problem, earlier.problem) {
            (Full { messages }, Full { messages: more })
            | (WriteFailed { messages, .. }, WriteFailed { messages: more, .. }) => {
                *messages = messages.saturating_add(more);
            }
            _ => {}
        }
    }
}

impl About for HostEvent {
    fn subject(&self) -> Subject {
        Subject::Host(self.host)
    }
}

impl About for LinkEvent {
    fn subject(&self) -> Subject {
        Subject::Link(self.host, self.link)
    }
}

impl About for MtuEvent {
    fn subject(&self) -> Subject {
        match *self {
            Self::Link { host, link, .. } => Subject::LinkMtu(host, link),
            Self::Host { host, .. } => Subject::HostMtu(host),
            // Only of the handle: `MtuEvent` may get other variants with the next version of its crate, and
            // this one with it.
            _ => Subject::HandleMtu,
        }
    }
}

impl About for AddressEvent {
    fn subject(&self) -> Subject {
        Subject::LinkAddress(self.host, self.link)
    }

    fn absorb(&mut self, earlier: &Self) {
        self.suppressed = self.suppressed.saturating_add(earlier.suppressed).saturating_add(1);
    }
}

impl About for Rejection {
    fn subject(&self) -> Subject {
        Subject::Rejected(discriminant(&self.reason))
    }

    fn absorb(&mut self, earlier: &Self) {
        self.suppressed = self.suppressed.saturating_add(earlier.suppressed).saturating_add(1);
    }
}
