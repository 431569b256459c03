//! A batch of messages on its way out: the messages, the packets that they are cut into, and the copies of
//! these packets that go to the hosts.
//!
//! ```text
//!   Message ──cut──▶ Packet (one per fragment and group of hosts with the same MTU)
//!      │               │
//!      ▼               ▼
//!   MessageCopy ◀── PacketCopies (the packets of a message, for a host and a link)
//! ```
//!
//! The copies of single packets exist only while a batch of them is handed to the kernel: a long message to a
//! thousand hosts has hundreds of thousands.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use knet_engine::{LinkRoute, Routes, SocketId};
use knet_transport::QosMarking;

use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::io::backpressure::RetryAt;
use crate::io::packet::Packet;
use crate::send_report::NotSent;
use crate::tx::message::Message;

/// The packets of a batch of messages, and how far each of them got. The memory is reused for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the messages.
    pub(crate) packets: Vec<Packet>,
    /// In the order of the messages at first, by socket when they leave.
    pub(crate) copies: Vec<PacketCopies>,
    /// How many packets were planned, each counted once per host and link.
    pub(crate) planned: usize,
    /// In the order of the messages, with the copies for one host next to each other.
    pub(crate) message_copies: Vec<MessageCopy>,
    /// The copies whose socket was full.
    pub(crate) blocked: Vec<Blocked>,
}

/// Packets of a message on their way to one host over one link.
#[derive(Clone, Debug)]
pub(crate) struct PacketCopies {
    pub(crate) socket: SocketId,
    /// Keeps the copies of one socket in the order in which they were planned.
    pub(crate) order: usize,
    pub(crate) remote: SocketAddr,
    /// The own address that they leave from, if the kernel does not choose.
    pub(crate) source: Option<IpAddr>,
    /// How they are marked, if not as their socket is.
    pub(crate) marking: Option<QosMarking>,
    /// Their places in [`Plan::packets`], without those that have left or were dropped.
    pub(crate) packets: Range<usize>,
    /// The place in [`Plan::message_copies`] of the message copy that they are a part of.
    pub(crate) message_copy: usize,
}

/// A message on its way to one host over one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageCopy {
    pub(crate) message: usize,
    /// The host's place in the routes.
    pub(crate) host: usize,
    /// The link's place in the host.
    pub(crate) link: usize,
    /// Why the kernel refused one of its packets. The others are useless without it.
    pub(crate) refused: Option<NotSent>,
    /// Whether the kernel took one of its packets.
    pub(crate) left: bool,
}

/// Copies of one socket that wait for room.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) socket: SocketId,
    pub(crate) copies: Range<usize>,
    pub(crate) retry_at: RetryAt,
    /// When one of them last left, or when they were blocked.
    pub(crate) since: Instant,
}

impl Plan {
    /// Removes everything, and gives back the memory that only an exceptional batch needs.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.packets.shrink_to(MAX_SPARE);
        self.copies.clear();
        self.copies.shrink_to(MAX_SPARE);
        self.message_copies.clear();
        self.message_copies.shrink_to(MAX_SPARE);
        self.planned = 0;
    }

    /// Returns `true` if no packet waits for room.
    pub(crate) fn has_left(&self) -> bool {
        self.blocked.is_empty()
    }

    /// Returns the next of the packets that are copied. All of them have the same number.
    pub(crate) fn packet(&self, copies: &PacketCopies) -> Option<&Packet> {
        self.packets.get(copies.packets.clone())?.first()
    }

    /// Returns the link that copies go over.
    pub(crate) fn link<'a>(
        &self,
        routes: &'a Routes,
        copies: &PacketCopies,
    ) -> Option<&'a LinkRoute> {
        self.message_copies.get(copies.message_copy)?.link(routes)
    }
}

impl MessageCopy {
    /// Returns the link that it goes over.
    pub(crate) fn link<'a>(&self, routes: &'a Routes) -> Option<&'a LinkRoute> {
        routes.at(self.host)?.links().get(self.link)
    }
}

/// A plan with everything that is needed to carry it out.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) shared: &'a Shared,
    /// The routes that the plan was made by.
    pub(crate) routes: &'a Routes,
    pub(crate) messages: &'a [Message<'a>],
    pub(crate) plan: &'a mut Plan,
    pub(crate) sender: &'a mut ControlSender,
}

/// How many entries of each kind a plan has memory for while it is empty.
const MAX_SPARE: usize = 8192;

#[cfg(test)]
impl Plan {
    /// Adds a message of one byte, which has this number, for the first host of the routes.
    pub(crate) fn add(
        &mut self,
        own: knet_wire::HostId,
        (socket, remote): (SocketId, SocketAddr),
        number: u16,
    ) {
        let message = self.message_copies.len();
        let mut packet = Packet::new(crate::fixtures::HEADER, message, 0..1);
        packet.set_number(knet_wire::SequenceNumber::new(number), own);
        let packets = self.packets.len()..self.packets.len() + 1;
        let (order, message_copy) = (message, message);
        self.copies.push(PacketCopies {
            socket,
            order,
            remote,
            source: None,
            marking: None,
            packets,
            message_copy,
        });
        self.packets.push(packet);
        self.message_copies.push(MessageCopy {
            message,
            host: 0,
            link: 0,
            refused: None,
            left: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceptional_batch_leaves_no_memory_behind() {
        let mut plan = Plan::default();
        plan.packets.reserve(100 * MAX_SPARE);
        plan.copies.reserve(100 * MAX_SPARE);
        plan.message_copies.reserve(100 * MAX_SPARE);
        plan.clear();
        let spare =
            [plan.packets.capacity(), plan.copies.capacity(), plan.message_copies.capacity()];
        assert!(spare.iter().all(|&spare| spare < 2 * MAX_SPARE), "{spare:?}");
    }
}
