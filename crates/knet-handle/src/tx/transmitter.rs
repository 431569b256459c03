//! The way out: filter, destinations, fragments, sequence number. What is planned here leaves in
//! [`crate::tx::send`].

use std::sync::Arc;

use knet_channel::Channel;
use knet_engine::{Engine, FragmentPlan, LinkRoute, PacketKind, Routes, Transmit, forced_ping_due};
use knet_transport::{ErrorQueue, SendBatch};
use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, SequenceNumber};

use crate::core::shared::Shared;
use crate::datafds::counters::{Counters, count};
use crate::error::{Destinations, Error};
use crate::event::Direction;
use crate::filter::{self, Verdict};
use crate::io::loopback::Queued;
use crate::io::packet_tag;
use crate::send_report::{NotSent, SendFailure, SendReport};
use crate::tx::retry::Waiting;
use crate::tx::send::{Frame, MessageCopy};

/// How many messages or datagrams share a system call.
pub(crate) const BATCH: usize = 64;

/// What the way out needs besides the handle's state: memory that is made once and used again. One
/// for the tx thread, and one for each thread that sends at the same time.
#[derive(Debug)]
pub(crate) struct Transmitter {
    destinations: Vec<HostId>,
    /// The hosts that the message goes to, as places in the routes.
    targets: Vec<usize>,
    /// What is planned, by message at first, by socket when it leaves.
    pub(crate) frames: Vec<Frame>,
    /// Frames whose socket was full when it was their turn.
    pub(crate) waiting: Vec<Waiting>,
    /// What the frames are parts of, the copies for one host next to each other.
    pub(crate) copies: Vec<MessageCopy>,
    /// Whether somebody wants to know of each host, and what there is to tell then.
    reporting: bool,
    failures: Vec<SendFailure>,
    pub(crate) batch: SendBatch,
    pub(crate) control: Vec<Transmit>,
    pub(crate) errors: ErrorQueue,
}

/// How far a batch of messages of one channel has got.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) channel: Channel,
    /// What the packets go by that are on their way.
    routes: Arc<Routes>,
    /// The first message that has not been looked at.
    next: usize,
}

impl Batch {
    pub(crate) fn new(shared: &Shared, channel: Channel) -> Self {
        Self { channel, routes: shared.routes(), next: 0 }
    }
}

impl Default for Transmitter {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            targets: Vec::new(),
            frames: Vec::new(),
            waiting: Vec::new(),
            copies: Vec::new(),
            reporting: false,
            failures: Vec::new(),
            batch: SendBatch::new(BATCH),
            control: Vec::new(),
            errors: ErrorQueue::new(),
        }
    }
}

impl Transmitter {
    /// Sends one message in the caller's thread. `unicast` is what `send_sync` asks for: a filter,
    /// and exactly one destination.
    pub(crate) fn send(
        &mut self,
        shared: &Shared,
        channel: Channel,
        message: &[u8],
        unicast: bool,
    ) -> Result<SendReport, Error> {
        let routes = shared.routes();
        self.start(true);
        let messages = [message];
        let counters = shared.datafds.counters(channel);
        let broadcast = self
            .plan(shared, &routes, channel, &messages, 0, unicast)
            .inspect_err(|error| count_refusal(counters, error))?;
        self.dispatch(shared, &routes, &messages);
        self.wait_for_room(shared, &routes, &messages);
        self.settle(&routes, counters, &messages);
        let failures = std::mem::take(&mut self.failures);
        let report = if broadcast {
            SendReport::broadcast(routes, failures)
        } else {
            SendReport::listed(&routes, &self.targets, failures)
        };
        if report.hosts > 0 { Ok(report) } else { Err(nobody(&report)) }
    }

    /// Goes on with a batch of messages that were read from a datafd; what goes wrong is counted.
    /// Whether it is done: otherwise packets wait for room, and this has to be called again.
    pub(crate) fn send_batch(
        &mut self,
        shared: &Shared,
        batch: &mut Batch,
        messages: &[&[u8]],
    ) -> bool {
        let counters = shared.datafds.counters(batch.channel);
        loop {
            if !self.retry(shared, &batch.routes, messages) {
                return false;
            }
            self.settle(&batch.routes, counters, messages);
            if batch.next >= messages.len() {
                return true;
            }
            self.start(false);
            if batch.next > 0 {
                batch.routes = shared.routes();
            }
            while batch.next < messages.len() && self.frames.len() < BATCH {
                let (index, channel) = (batch.next, batch.channel);
                batch.next += 1;
                if let Err(error) =
                    self.plan(shared, &batch.routes, channel, messages, index, false)
                {
                    tracing::debug!(%channel, %error, "message not sent");
                    count_refusal(counters, &error);
                }
            }
            self.dispatch(shared, &batch.routes, messages);
            if !self.waiting.is_empty() {
                // Not tried again at once: others may have waited for longer.
                return false;
            }
        }
    }

    fn start(&mut self, reporting: bool) {
        self.frames.clear();
        self.copies.clear();
        self.failures.clear();
        self.reporting = reporting;
    }

    /// Decides where a message goes and cuts it into fragments (`docs/protocol.md`, "Sending"). Returns
    /// `true` if it is a broadcast.
    fn plan(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        channel: Channel,
        messages: &[&[u8]],
        index: usize,
        unicast: bool,
    ) -> Result<bool, Error> {
        let message = messages.get(index).copied().unwrap_or_default();
        if !shared.is_forwarding() {
            return Err(Error::ForwardingOff);
        }
        let filter = shared.filter();
        let own = shared.own;
        let filtered = filter::run(
            filter.as_ref(),
            message,
            Direction::Tx,
            own,
            own,
            channel,
            &mut self.destinations,
        );
        // Let go of, so that whoever replaces the filter does not wait for the packets to leave.
        drop(filter);
        let broadcast = match filtered.verdict {
            Verdict::Reject => return Err(Error::FilterRejected),
            Verdict::Listed if self.destinations.is_empty() => {
                return Err(Error::FilterNoDestination);
            }
            Verdict::Listed => false,
            Verdict::Broadcast => true,
        };
        let Ok(channel) = Channel::try_from(filtered.channel) else {
            return Err(Error::FilterChannel(filtered.channel));
        };
        if unicast && broadcast {
            return Err(Error::NotUnicast(Destinations::Everybody));
        }
        if unicast && self.destinations.len() > 1 {
            return Err(Error::NotUnicast(Destinations::Listed(self.destinations.len())));
        }
        self.find_targets(routes, broadcast)?;
        self.cut(shared, routes, index, message, channel, broadcast);
        Ok(broadcast)
    }

    /// Plans the packets of a message, for each target on each of its links. A copy for ourselves is
    /// on its way at once.
    fn cut(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        message: usize,
        bytes: &[u8],
        channel: Channel,
        broadcast: bool,
    ) {
        let says = DataHeader {
            sequence: SequenceNumber::ZERO,
            compression: 0,
            broadcast,
            fragment: knet_wire::Fragment::Whole,
            channel: channel.get(),
        };
        for &target in &self.targets {
            let Some(host) = routes.at(target) else { continue };
            let copy =
                |link| MessageCopy { message, host: target, link, refused: None, left: false };
            let Ok(fragments) = FragmentPlan::new(bytes.len(), host.data_mtu()) else {
                self.copies.push(MessageCopy { refused: Some(NotSent::TooLong), ..copy(0) });
                continue;
            };
            for (place, link) in host.links_of_next_message() {
                let Some(path) = link.path else {
                    let refused = loop_back(shared, link, channel, bytes);
                    self.copies.push(MessageCopy { refused, ..copy(place) });
                    continue;
                };
                self.copies.push(copy(place));
                let marking = packet_tag::from_tag(link.tag);
                for (fragment, part) in fragments.iter() {
                    self.frames.push(Frame {
                        socket: path.socket,
                        order: self.frames.len(),
                        remote: path.remote,
                        marking,
                        says: DataHeader { fragment, ..says },
                        header: [0; DATA_HEADER_LEN],
                        message,
                        part,
                        copy: self.copies.len() - 1,
                    });
                }
            }
        }
    }

    /// Looks the destinations up. A host that is named twice gets one copy.
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
                        let down = routes.unreachable().binary_search(&host).is_ok();
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
            let down = routes.unreachable().iter();
            self.failures.extend(down.map(|&host| SendFailure::unreachable(host)));
        }
        Err(Error::HostDown { failures: std::mem::take(&mut self.failures) })
    }

    /// Numbers the planned messages in their order, and announces what is due by their numbers.
    ///
    /// Numbers are given last, after the filter, so that messages of threads that send at the same
    /// time leave nearly in the order of their numbers: receivers look back only so far.
    pub(crate) fn number(&mut self, shared: &Shared) {
        let mut frames = std::mem::take(&mut self.frames);
        for message in frames.chunk_by_mut(|one, two| one.message == two.message) {
            let sequence = self.next_number(shared);
            message.iter_mut().for_each(|frame| frame.set_number(sequence, shared.own));
        }
        self.frames = frames;
    }

    /// The next number, when what is due by it has been announced.
    pub(crate) fn next_number(&mut self, shared: &Shared) -> SequenceNumber {
        let sequence = shared.sequence.next();
        if forced_ping_due(sequence) {
            shared.engine(Engine::force_pings);
            self.send_control(shared);
            // They have set timers that the rx thread does not know of.
            shared.rx.wake();
        }
        sequence
    }

    /// Counts what became of the messages whose packets have left or have been refused.
    pub(crate) fn settle(&mut self, routes: &Routes, counters: &Counters, messages: &[&[u8]]) {
        let (mut sent, mut bytes) = (0, 0);
        let same_message = |one: &MessageCopy, two: &MessageCopy| one.message == two.message;
        let same_host = |one: &MessageCopy, two: &MessageCopy| one.host == two.host;
        for message in self.copies.chunk_by(same_message) {
            let (mut left, mut reason) = (false, None);
            for host in message.chunk_by(same_host) {
                // One whole copy is enough.
                if host.iter().any(|copy| copy.refused.is_none()) {
                    left = true;
                    continue;
                }
                let refused = host.iter().find_map(|copy| copy.refused);
                reason = reason.or(refused);
                let route = host.first().and_then(|copy| routes.at(copy.host));
                if let (true, Some(reason), Some(route)) = (self.reporting, refused, route) {
                    self.failures.push(SendFailure { host: route.host(), reason });
                }
            }
            match reason {
                _ if left => {
                    sent += 1;
                    let index = message.first().map(|copy| copy.message);
                    let message = index.and_then(|index| messages.get(index));
                    bytes += message.map_or(0, |message| message.len() as u64);
                }
                Some(NotSent::TooLong) => count(&counters.tx_too_long, 1),
                Some(NotSent::QueueFull) => count(&counters.tx_queue_full, 1),
                Some(NotSent::Unknown | NotSent::Unreachable) => {
                    count(&counters.tx_no_destination, 1);
                }
                Some(NotSent::Refused { .. }) | None => count(&counters.tx_not_sent, 1),
            }
        }
        self.copies.clear();
        if sent > 0 {
            count(&counters.tx_messages, sent);
            count(&counters.tx_bytes, bytes);
        }
    }
}

/// Hands a message to ourselves over; why that was not possible.
fn loop_back(shared: &Shared, link: &LinkRoute, channel: Channel, bytes: &[u8]) -> Option<NotSent> {
    let queued = shared.loopback.push(channel, bytes);
    if queued == Queued::NoRoom {
        link.counters.record_error(PacketKind::Data);
        return Some(NotSent::QueueFull);
    }
    link.counters.record_sent(PacketKind::Data, 1, bytes.len() as u64);
    if queued == Queued::First {
        shared.rx.wake();
    }
    None
}

/// Why a message went to nobody at all.
fn nobody(report: &SendReport) -> Error {
    let failures: Vec<_> = report.failures().collect();
    let gone =
        |failure: &SendFailure| matches!(failure.reason, NotSent::Unreachable | NotSent::Unknown);
    if failures.iter().all(gone) { Error::HostDown { failures } } else { Error::Send { failures } }
}

/// Counts why a message was not sent at all.
fn count_refusal(counters: &Counters, error: &Error) {
    let counter = match error {
        Error::ForwardingOff => &counters.tx_forwarding_off,
        Error::FilterRejected => &counters.tx_filter_rejected,
        Error::HostDown { .. } => &counters.tx_no_destination,
        Error::FilterNoDestination | Error::FilterChannel(_) | Error::NotUnicast(_) => {
            &counters.tx_filter_error
        }
        _ => &counters.tx_not_sent,
    };
    count(counter, 1);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use knet_engine::SocketId;
    use knet_wire::LinkId;

    use super::*;
    use crate::{ChannelRequest, DatafdSource, Handle, LinkConfig, PingTimers};

    fn connect(from: (&Handle, SocketAddr), to: (HostId, SocketAddr)) -> SocketId {
        let host = from.0.add_host(to.0).unwrap();
        let link = host.add_link(LinkId::ALL[0], LinkConfig::udp(from.1, to.1)).unwrap();
        let interval = Duration::from_millis(20);
        link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
        link.set_pong_count(1).unwrap();
        link.enable().unwrap();
        link.status().unwrap().socket.unwrap()
    }

    /// Closes a socket that an endpoint and a link use, under the feet of the routes.
    fn close(handle: &Handle, socket: SocketId) {
        let shared = handle.shared();
        (0..2).for_each(|_| shared.release_socket(socket));
        assert!(shared.sockets.get(socket).is_none());
    }

    #[test]
    fn a_report_names_only_hosts_that_the_whole_message_left_for() {
        let [one, two] = [1, 2].map(|id| Handle::new(HostId::new(id)).unwrap());
        let bind = |handle: &Handle| handle.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (to_self, to_two, to_one) = (bind(&one), bind(&one), bind(&two));
        let own = connect((&one, to_self.addr()), (one.host_id(), to_self.addr()));
        let other = connect((&one, to_two.addr()), (two.host_id(), to_one.addr()));
        connect((&two, to_one.addr()), (one.host_id(), to_two.addr()));
        for host in [one.host_id(), two.host_id()] {
            one.host(host).unwrap().wait_reachable(Duration::from_secs(10)).unwrap();
        }
        let _ = one.datafd_events();
        let datafd = one.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        one.set_forwarding(true).unwrap();

        let long = vec![1; 5000];
        assert_eq!(datafd.send(&long).unwrap().hosts, 2);
        close(&one, own);
        let report = datafd.send(&long).unwrap();
        assert_eq!((report.hosts, report.delivered().collect()), (1, vec![two.host_id()]));
        let failure = SendFailure { host: one.host_id(), reason: NotSent::Unreachable };
        assert_eq!(report.failures().collect::<Vec<_>>(), [failure]);
        close(&one, other);
        assert!(matches!(datafd.send(&long).unwrap_err(), Error::HostDown { .. }));
        let stats = one.channel_stats(datafd.channel());
        assert_eq!((stats.tx_messages, stats.tx_no_destination), (2, 1));
    }

    #[test]
    fn a_message_that_lacks_a_packet_on_each_link_did_not_leave() {
        let copy = |message, host, link, refused: bool| MessageCopy {
            message,
            host,
            link,
            refused: refused.then_some(NotSent::QueueFull),
            left: !refused,
        };
        let copies = vec![
            copy(0, 0, 0, true),
            copy(0, 0, 1, false),
            copy(0, 1, 0, false),
            copy(0, 1, 1, false),
            copy(1, 0, 0, true),
            copy(1, 0, 1, true),
            copy(2, 0, 0, false),
        ];
        let mut transmitter = Transmitter { copies, ..Transmitter::default() };
        let counters = Counters::default();
        transmitter.settle(&Routes::default(), &counters, &[b"1", b"22", b"333"]);
        let stats = counters.read();
        assert_eq!((stats.tx_messages, stats.tx_bytes, stats.tx_queue_full), (2, 4, 1));
        assert!(transmitter.copies.is_empty());
    }
}
