//! The way out: filter, destinations, sequence number, fragments, links, sockets.

use std::net::SocketAddr;
use std::ops::Range;

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::{Engine, FragmentPlan, PacketKind, Routes, SocketId, Transmit, forced_ping_due};
use knet_transport::{Datagram, ErrorQueue, SendBatch};
use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, SequenceNumber};

use crate::channels::{Counters, count};
use crate::errno::EMSGSIZE;
use crate::error::{Destinations, Error};
use crate::errors;
use crate::event::Direction;
use crate::filter::{self, Verdict};
use crate::patience::{StuckSockets, send_all};
use crate::shared::Shared;

/// How many messages or datagrams share a system call.
pub(crate) const BATCH: usize = 64;

/// What the way out needs besides the handle's state: memory that is made once and used again. One
/// for the tx thread, and one for each thread that sends at the same time.
#[derive(Debug)]
pub(crate) struct Transmitter {
    destinations: Vec<HostId>,
    /// The hosts that the message goes to, as places in the routes.
    targets: Vec<usize>,
    frames: Vec<Frame>,
    /// What the frames are parts of, the copies for one host next to each other.
    copies: Vec<MessageCopy>,
    batch: SendBatch,
    /// Which messages of the batch left as a whole for at least one host, a bit each.
    left: u64,
    /// How many hosts a message left for as a whole, those of all messages together.
    hosts: usize,
    /// Why the last packet was refused.
    refused: Option<i32>,
    control: Vec<Transmit>,
    stuck: StuckSockets,
    errors: ErrorQueue,
}

/// A packet that is ready to leave.
#[derive(Debug)]
struct Frame {
    socket: SocketId,
    /// Keeps packets of one socket in the order in which they were planned.
    order: usize,
    remote: SocketAddr,
    /// What the packet says, but for the number, which is given last.
    says: DataHeader,
    header: [u8; DATA_HEADER_LEN],
    message: usize,
    part: Range<usize>,
    /// Which of the copies it belongs to.
    copy: usize,
}

/// A message on its way over one link.
#[derive(Debug)]
struct MessageCopy {
    message: usize,
    /// The host's place in the routes.
    host: usize,
    /// The link's place in the host.
    link: usize,
    /// Whether the kernel took all of its packets: without one of them the others are worth nothing.
    whole: bool,
}

/// What became of a message that was handed to the links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SendReport {
    /// How many hosts it was sent to: for each of them the kernel took the whole message on at least
    /// one link.
    pub hosts: usize,
}

impl Default for Transmitter {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            targets: Vec::new(),
            frames: Vec::new(),
            copies: Vec::new(),
            batch: SendBatch::new(BATCH),
            left: 0,
            hosts: 0,
            refused: None,
            control: Vec::new(),
            stuck: StuckSockets::default(),
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
        self.start();
        let messages = [message];
        let counters = shared.channels.counters(channel);
        self.plan(shared, &routes, channel, &messages, 0, unicast)
            .inspect_err(|error| count_refusal(counters, error))?;
        self.flush(shared, &routes, &messages);
        self.finish(counters, 1, &messages);
        match (self.hosts, self.refused) {
            (0, Some(errno)) => Err(Error::Send { errno }),
            // The links went away since the routes were made.
            (0, None) => Err(Error::HostDown),
            (hosts, _) => Ok(SendReport { hosts }),
        }
    }

    /// Sends a batch of messages that were read from a datafd. What goes wrong is counted.
    pub(crate) fn send_batch(&mut self, shared: &Shared, channel: Channel, messages: &[&[u8]]) {
        let routes = shared.routes();
        self.start();
        let counters = shared.channels.counters(channel);
        let mut planned = 0;
        for index in 0..messages.len() {
            match self.plan(shared, &routes, channel, messages, index, false) {
                Ok(()) => planned |= 1 << index,
                Err(error) => {
                    tracing::debug!(%channel, %error, "message not sent");
                    count_refusal(counters, &error);
                }
            }
            if self.frames.len() >= BATCH {
                self.flush(shared, &routes, messages);
            }
        }
        self.flush(shared, &routes, messages);
        self.finish(counters, planned, messages);
    }

    /// Sends control packets, and those that follow from how that went.
    pub(crate) fn send_control(&mut self, shared: &Shared) {
        let mut control = std::mem::take(&mut self.control);
        loop {
            shared.take_transmits(&mut control);
            if control.is_empty() {
                break;
            }
            for transmit in control.drain(..) {
                self.send_transmit(shared, transmit);
            }
        }
        self.control = control;
    }

    fn send_transmit(&mut self, shared: &Shared, transmit: Transmit) {
        let path = transmit.path();
        let Some(socket) = shared.sockets.get(path.socket) else {
            self.stuck.forget(path.socket);
            transmit.failed();
            return;
        };
        let header = transmit.packet();
        let payload = ZEROS.get(..transmit.filler()).unwrap_or(&ZEROS);
        let length = header.len() + payload.len();
        let datagram = Datagram { header, payload, destination: path.remote };
        let mut sent = false;
        let mut patience = self.stuck.patience(path.socket);
        let refused =
            send_all(&socket, &mut self.batch, &[datagram], &mut patience, |_| sent = true);
        self.stuck.note(path.socket, sent, &patience);
        drop(socket);
        match (refused, transmit.probe_size()) {
            (None, _) if sent => transmit.sent(length),
            (Some(EMSGSIZE), Some(size)) => {
                // First what the kernel says of it, which makes the next probe the last.
                errors::read(shared, path.socket, &mut self.errors);
                let (host, link) = (transmit.host(), transmit.link());
                shared.engine(|engine, now| engine.handle_probe_refused(now, host, link, size));
                // The next probe has a deadline that the rx thread does not know of.
                shared.rx.wake();
            }
            (errno, _) => {
                tracing::debug!(remote = %path.remote, ?errno, "control packet not sent");
                transmit.failed();
            }
        }
    }

    fn start(&mut self) {
        self.frames.clear();
        self.copies.clear();
        self.left = 0;
        self.hosts = 0;
        self.refused = None;
    }

    /// Decides where a message goes and cuts it up: `spec/engine.md` 6.
    fn plan(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        channel: Channel,
        messages: &[&[u8]],
        index: usize,
        unicast: bool,
    ) -> Result<(), Error> {
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

        let says = |fragment| DataHeader {
            sequence: SequenceNumber::ZERO,
            compression: 0,
            broadcast,
            fragment,
            channel: channel.get(),
        };
        for &target in &self.targets {
            let Some(host) = routes.at(target) else { continue };
            let fragments = match FragmentPlan::new(message.len(), host.data_mtu()) {
                Ok(fragments) => fragments,
                Err(error) => {
                    self.refused = Some(error.errno());
                    continue;
                }
            };
            for (place, link) in host.links_of_next_message() {
                let copy = self.copies.len();
                self.copies.push(MessageCopy {
                    message: index,
                    host: target,
                    link: place,
                    whole: true,
                });
                for (fragment, part) in fragments.iter() {
                    self.frames.push(Frame {
                        socket: link.path.socket,
                        order: self.frames.len(),
                        remote: link.path.remote,
                        says: says(fragment),
                        header: [0; DATA_HEADER_LEN],
                        message: index,
                        part,
                        copy,
                    });
                }
            }
        }
        Ok(())
    }

    /// Looks the destinations up. A host that is named twice gets one copy.
    fn find_targets(&mut self, routes: &Routes, broadcast: bool) -> Result<(), Error> {
        self.targets.clear();
        if broadcast {
            self.targets.extend(0..routes.len());
        } else {
            self.targets.extend(self.destinations.iter().filter_map(|&host| routes.position(host)));
            self.targets.sort_unstable();
            self.targets.dedup();
        }
        if self.targets.is_empty() { Err(Error::HostDown) } else { Ok(()) }
    }

    /// Numbers the planned messages in their order, and announces what is due by their numbers.
    ///
    /// Numbers are given last, after the filter, so that messages of threads that send at the same
    /// time leave nearly in the order of their numbers: receivers look back only so far.
    fn number(&mut self, shared: &Shared) {
        let mut frames = std::mem::take(&mut self.frames);
        for message in frames.chunk_by_mut(|one, two| one.message == two.message) {
            let sequence = shared.sequence.next();
            if forced_ping_due(sequence) {
                shared.engine(Engine::force_pings);
                self.send_control(shared);
            }
            for frame in message {
                frame.header = DataHeader { sequence, ..frame.says }.encode(shared.own);
            }
        }
        self.frames = frames;
    }

    /// Gives the planned packets to the kernel, socket by socket. A packet that is refused costs
    /// the others nothing.
    fn flush(&mut self, shared: &Shared, routes: &Routes, messages: &[&[u8]]) {
        self.number(shared);
        if !self.frames.is_sorted_by_key(|frame| frame.socket) {
            self.frames.sort_unstable_by_key(|frame| (frame.socket, frame.order));
        }
        let mut rest = self.frames.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take(BATCH).take_while(|f| f.socket == first.socket).count();
            let (run, next) = rest.split_at(same);
            rest = next;
            let mut sent = 0u64;
            if let Some(socket) = shared.sockets.get(first.socket) {
                let datagrams: ArrayVec<Datagram<'_>, BATCH> = run
                    .iter()
                    .map(|frame| Datagram {
                        header: &frame.header,
                        payload: payload(messages, frame),
                        destination: frame.remote,
                    })
                    .collect();
                let mut patience = self.stuck.patience(first.socket);
                let took = |at: usize| sent |= 1u64 << at;
                let refused = send_all(&socket, &mut self.batch, &datagrams, &mut patience, took);
                self.stuck.note(first.socket, sent != 0, &patience);
                self.refused = refused.or(self.refused);
            } else {
                self.stuck.forget(first.socket);
            }
            for (at, frame) in run.iter().enumerate() {
                let Some(copy) = self.copies.get_mut(frame.copy) else { continue };
                let taken = sent & 1 << at != 0;
                copy.whole &= taken;
                let host = routes.at(copy.host);
                let Some(link) = host.and_then(|host| host.links().get(copy.link)) else {
                    continue;
                };
                if taken {
                    let length = DATA_HEADER_LEN + frame.part.len();
                    link.counters.sent(PacketKind::Data, 1, length as u64);
                } else {
                    link.counters.failed(PacketKind::Data);
                }
            }
        }
        self.frames.clear();
        self.count_copies();
    }

    /// Notes which messages left, and for how many hosts.
    fn count_copies(&mut self) {
        let mut last = None;
        for copy in self.copies.drain(..).filter(|copy| copy.whole) {
            self.left |= 1 << copy.message;
            if last.replace((copy.message, copy.host)) != Some((copy.message, copy.host)) {
                self.hosts += 1;
            }
        }
    }

    /// Counts what became of the messages that were planned, a bit each.
    fn finish(&mut self, counters: &Counters, planned: u64, messages: &[&[u8]]) {
        let mut bytes = 0;
        for (index, message) in messages.iter().enumerate() {
            if planned & self.left & 1 << index != 0 {
                bytes += message.len() as u64;
            }
        }
        let sent = (planned & self.left).count_ones();
        count(&counters.tx_messages, sent.into());
        count(&counters.tx_bytes, bytes);
        count(&counters.tx_not_sent, (planned & !self.left).count_ones().into());
    }
}

fn payload<'a>(messages: &[&'a [u8]], frame: &Frame) -> &'a [u8] {
    let message = messages.get(frame.message).copied().unwrap_or_default();
    message.get(frame.part.clone()).unwrap_or_default()
}

/// Counts why a message was not sent at all.
fn count_refusal(counters: &Counters, error: &Error) {
    let counter = match error {
        Error::ForwardingOff => &counters.tx_forwarding_off,
        Error::FilterRejected => &counters.tx_filter_rejected,
        Error::HostDown => &counters.tx_no_destination,
        Error::FilterNoDestination | Error::FilterChannel(_) | Error::NotUnicast(_) => {
            &counters.tx_filter_error
        }
        _ => &counters.tx_not_sent,
    };
    count(counter, 1);
}

/// What path MTU probes are filled with.
static ZEROS: [u8; 65_535] = [0; 65_535];

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

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
        link.status().unwrap().path.socket
    }

    /// Closes a socket that an endpoint and a link use, under the feet of the routes.
    fn close(handle: &Handle, socket: SocketId) {
        let shared = handle.shared();
        (0..2).for_each(|_| shared.sockets.release(socket, &shared.rx.poller));
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
        assert_eq!(datafd.send(&long).unwrap().hosts, 1);
        close(&one, other);
        assert!(matches!(datafd.send(&long).unwrap_err(), Error::HostDown));
        let stats = one.channel_stats(datafd.channel());
        assert_eq!((stats.tx_messages, stats.tx_not_sent), (2, 1));
    }

    #[test]
    fn a_message_that_lacks_a_packet_on_each_link_did_not_leave() {
        let copy = |message, host, link, whole| MessageCopy { message, host, link, whole };
        let copies = vec![
            copy(0, 0, 0, false),
            copy(0, 0, 1, true),
            copy(0, 1, 0, true),
            copy(0, 1, 1, true),
            copy(1, 0, 0, false),
            copy(1, 0, 1, false),
            copy(2, 0, 0, true),
        ];
        let mut transmitter = Transmitter { copies, ..Transmitter::default() };
        transmitter.count_copies();
        assert_eq!((transmitter.left, transmitter.hosts), (0b101, 3));
    }
}
