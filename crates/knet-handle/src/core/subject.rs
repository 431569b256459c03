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
}

impl About for DatafdEvent {
    fn subject(&self) -> Subject {
        Subject::Datafd(self.channel, discriminant(&self.problem))
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
}

impl About for Rejection {
    fn subject(&self) -> Subject {
        Subject::Rejected(discriminant(&self.reason))
    }
}
