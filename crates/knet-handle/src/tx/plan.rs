//! Plans the path of a message: calls the filter, finds the destinations, cuts the message into packets.

use knet_channel::Channel;
use knet_engine::{FragmentPlan, LinkRoute, PacketKind, Routes};
use knet_wire::{DataHeader, Fragment, HostId, SequenceNumber};

use crate::core::shared::Shared;
use crate::error::{Destinations, Error};
use crate::event::Direction;
use crate::filter::{FilterMessage, Verdict};
use crate::io::loopback::Queued;
use crate::io::packet::Packet;
use crate::io::packet_tag;
use crate::send_report::{NotSent, SendFailure};
use crate::tx::message::Message;
use crate::tx::outgoing::{MessageCopy, PacketCopies, Plan};

/// Decides where messages go. The memory is reused for the next message.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    destinations: Vec<HostId>,
    /// The hosts that the message goes to, as places in the routes.
    targets: Vec<usize>,
    /// How the current message is cut: bytes per packet, the place of the first packet in the plan, and the
    /// number of packets.
    cuts: Vec<(usize, usize, usize)>,
    /// Whether failures are reported host by host.
    reporting: bool,
    failures: Vec<SendFailure>,
}

/// How many hosts a message may be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Addressing {
    /// Any number.
    Any,
    /// Exactly one, which the filter names (`send_sync`).
    Unicast,
}

impl Planner {
    /// Begins a batch. With `reporting`, failures are kept host by host.
    pub(crate) fn begin(&mut self, reporting: bool) {
        self.failures.clear();
        self.reporting = reporting;
    }

    pub(crate) fn is_reporting(&self) -> bool {
        self.reporting
    }

    pub(crate) fn targets(&self) -> &[usize] {
        &self.targets
    }

    pub(crate) fn record_failure(&mut self, failure: SendFailure) {
        self.failures.push(failure);
    }

    /// Takes out the failures of the batch.
    pub(crate) fn take_failures(&mut self) -> Vec<SendFailure> {
        std::mem::take(&mut self.failures)
    }

    /// Adds the packets of message `index` to the plan, and queues the message for ourselves if it goes
    /// over a loopback link. Returns `true` if it is for all hosts.
    pub(crate) fn plan(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        plan: &mut Plan,
        (index, message): (usize, Message<'_>),
        channel: Channel,
        addressing: Addressing,
    ) -> Result<bool, Error> {
        if !shared.is_forwarding() {
            return Err(Error::ForwardingOff);
        }
        let (channel, broadcast) = self.filter(shared, message.plain, channel, addressing)?;
        self.find_targets(routes, broadcast)?;
        // Compression goes here, so that a message for nobody costs none.
        let header = DataHeader {
            sequence: SequenceNumber::ZERO,
            compression: message.method,
            broadcast,
            fragment: Fragment::Whole,
            channel: channel.get(),
        };
        self.cut(shared, routes, plan, (index, message), header, channel);
        Ok(broadcast)
    }

    /// Calls the filter. Returns the channel on the other hosts, and whether the message is for all hosts;
    /// otherwise `destinations` has its hosts.
    fn filter(
        &mut self,
        shared: &Shared,
        payload: &[u8],
        channel: Channel,
        addressing: Addressing,
    ) -> Result<(Channel, bool), Error> {
        let message = FilterMessage {
            payload,
            direction: Direction::Tx,
            own: shared.own,
            source: shared.own,
            channel: channel.into(),
            destinations: &mut self.destinations,
        };
        let filtered = shared.run_filter(message);
        let broadcast = match filtered.verdict {
            Verdict::Reject => return Err(Error::FilterRejected),
            Verdict::Destinations if self.destinations.is_empty() => {
                return Err(Error::FilterNoDestination);
            }
            Verdict::Destinations => false,
            Verdict::Broadcast => true,
        };
        let Ok(channel) = Channel::try_from(filtered.channel) else {
            return Err(Error::FilterChannel(filtered.channel));
        };
        match (addressing, self.destinations.len()) {
            (Addressing::Unicast, _) if broadcast => {
                Err(Error::NotUnicast(Destinations::Everybody))
            }
            (Addressing::Unicast, listed) if listed > 1 => {
                Err(Error::NotUnicast(Destinations::Hosts(listed)))
            }
            _ => Ok((channel, broadcast)),
        }
    }

    /// Looks up the destinations. A host that is named twice gets the message once.
    fn find_targets(&mut self, routes: &Routes, broadcast: bool) -> Result<(), Error> {
        self.targets.clear();
        if broadcast {
            self.targets.extend(0..routes.len());
        } else {
            self.destinations.sort_unstable();
            self.destinations.dedup();
            for &host in &self.destinations {
                match routes.position(host) {
                    Some(place) => self.targets.push(place),
                    None if self.reporting => {
                        let down = routes.is_unreachable(host);
                        let reason = if down { NotSent::Unreachable } else { NotSent::Unknown };
                        self.failures.push(SendFailure { host, reason });
                    }
                    None => {}
                }
            }
        }
        if !self.targets.is_empty() {
            return Ok(());
        }
        if broadcast && self.reporting {
            self.failures.extend(routes.unreachable().map(SendFailure::unreachable));
        }
        Err(Error::NoReachableHost { failures: std::mem::take(&mut self.failures) })
    }

    /// Cuts a message into packets, and plans a copy of each for each target on each of its links.
    fn cut(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        plan: &mut Plan,
        (index, message): (usize, Message<'_>),
        header: DataHeader,
        channel: Channel,
    ) {
        self.cuts.clear();
        for &target in &self.targets {
            let Some(host) = routes.at(target) else { continue };
            let copy = |link, refused| MessageCopy {
                message: index,
                host: target,
                link,
                refused,
                left: false,
            };
            let Ok(fragments) = FragmentPlan::new(message.on_wire.len(), host.data_mtu()) else {
                plan.message_copies.push(copy(0, Some(NotSent::TooLong)));
                continue;
            };
            let mut packets = None;
            for (place, link) in host.links_of_next_message() {
                let Some(path) = link.path else {
                    let refused = loop_back(shared, link, channel, message.plain);
                    plan.message_copies.push(copy(place, refused));
                    continue;
                };
                plan.message_copies.push(copy(place, None));
                let (first, count) = *packets.get_or_insert_with(|| {
                    packets_of(&mut self.cuts, plan, fragments, header, index)
                });
                plan.planned += count;
                plan.copies.push(PacketCopies {
                    socket: path.socket,
                    order: plan.copies.len(),
                    remote: path.remote,
                    source: link.source,
                    marking: packet_tag::from_tag(link.tag),
                    packets: first..first + count,
                    message_copy: plan.message_copies.len() - 1,
                });
            }
        }
    }
}

/// Returns the place and the number of the packets for these fragments. Creates them if no host has them
/// yet.
fn packets_of(
    cuts: &mut Vec<(usize, usize, usize)>,
    plan: &mut Plan,
    fragments: FragmentPlan,
    header: DataHeader,
    message: usize,
) -> (usize, usize) {
    // Hosts whose first packets carry as many bytes are cut alike.
    let length = fragments.get(0).map_or(0, |(_, part)| part.len());
    // Only the last cuts are compared, so that the cost is bounded however many MTUs there are.
    let known = cuts.iter().rev().take(MAX_CUTS).find(|cut| cut.0 == length);
    if let Some(&(_, first, count)) = known {
        return (first, count);
    }
    let (first, count) = (plan.packets.len(), fragments.count());
    plan.packets.extend(
        fragments
            .iter()
            .map(|(fragment, part)| Packet::new(DataHeader { fragment, ..header }, message, part)),
    );
    cuts.push((length, first, count));
    (first, count)
}

/// Queues a message to this host itself. Returns the reason if that was not possible.
fn loop_back(shared: &Shared, link: &LinkRoute, channel: Channel, plain: &[u8]) -> Option<NotSent> {
    let queued = shared.loopback.push(channel, plain);
    if queued == Queued::NoRoom {
        link.counters.record_error(PacketKind::Data);
        return Some(NotSent::QueueFull);
    }
    link.counters.record_sent(PacketKind::Data, 1, plain.len() as u64);
    if queued == Queued::First {
        shared.rx.wake();
    }
    None
}

/// How many cuts of a message are compared for a host.
const MAX_CUTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::HEADER;

    /// Plans the packets of a message of 1000 bytes for hosts with these MTUs, and returns what each host
    /// gets.
    fn packets_for(mtus: &[usize]) -> (Vec<(usize, usize)>, usize) {
        let (mut plan, mut planner) = (Plan::default(), Planner::default());
        let cuts = &mut planner.cuts;
        let packets = mtus.iter().map(|&mtu| {
            let fragments = FragmentPlan::new(1000, mtu).unwrap();
            packets_of(cuts, &mut plan, fragments, HEADER, 0)
        });
        let packets = packets.collect();
        (packets, plan.packets.len())
    }

    #[test]
    fn hosts_that_are_cut_alike_share_their_packets() {
        let (packets, made) = packets_for(&[400, 300, 400, 300]);
        assert_eq!(packets, [(0, 3), (3, 4), (0, 3), (3, 4)]);
        assert_eq!(made, 7);
    }

    #[test]
    fn a_message_that_fits_into_one_packet_is_the_same_for_all_hosts() {
        let (packets, made) = packets_for(&[1000, 1400, 65_000]);
        assert_eq!((packets, made), (vec![(0, 1); 3], 1));
    }

    #[test]
    fn hosts_with_many_different_mtus_get_packets_of_their_own() {
        let mtus: Vec<usize> = (500..600).collect();
        let twice = [mtus.clone(), mtus].concat();
        let (packets, made) = packets_for(&twice);
        assert_eq!(made, packets.iter().map(|&(_, count)| count).sum::<usize>());
    }
}
