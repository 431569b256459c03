//! The way out: filter, destinations, sequence number, fragments, links, sockets.

use std::net::SocketAddr;
use std::ops::Range;

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::{Engine, FragmentPlan, PacketKind, Routes, SocketId, Transmit, forced_ping_due};
use knet_transport::{Datagram, SendBatch, UdpSocket};
use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, SequenceNumber};

use crate::channels::{Counters, count};
use crate::error::{Destinations, Error};
use crate::event::Direction;
use crate::filter::{self, Verdict};
use crate::patience::{Patience, StuckSockets};
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
    batch: SendBatch,
    /// Which messages of the batch left in at least one packet, a bit each.
    left: u64,
    /// Why the last packet was refused.
    refused: Option<i32>,
    control: Vec<Transmit>,
    stuck: StuckSockets,
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
    /// Whose counters it belongs to: the host's place in the routes, the link's in the host.
    link: (usize, usize),
}

/// What became of a message that was handed to the links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SendReport {
    /// How many hosts it was sent to.
    pub hosts: usize,
}

impl Default for Transmitter {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            targets: Vec::new(),
            frames: Vec::new(),
            batch: SendBatch::new(BATCH),
            left: 0,
            refused: None,
            control: Vec::new(),
            stuck: StuckSockets::default(),
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
        let hosts = self
            .plan(shared, &routes, channel, &messages, 0, unicast)
            .inspect_err(|error| count_refusal(counters, error))?;
        self.flush(shared, &routes, &messages);
        self.finish(counters, 1, &messages);
        match self.refused {
            Some(errno) if self.left == 0 => Err(Error::Send { errno }),
            _ => Ok(SendReport { hosts }),
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
                Ok(_) => planned |= 1 << index,
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

    /// Sends control packets.
    pub(crate) fn send_control(&mut self, shared: &Shared) {
        let mut control = std::mem::take(&mut self.control);
        shared.take_transmits(&mut control);
        for transmit in control.drain(..) {
            let path = transmit.path();
            let Some(socket) = shared.sockets.get(path.socket) else {
                self.stuck.forget(path.socket);
                transmit.failed();
                continue;
            };
            let packet = transmit.packet();
            let datagram = Datagram { header: packet, payload: &[], destination: path.remote };
            let length = packet.len();
            let mut sent = false;
            let mut patience = self.stuck.patience(path.socket);
            let refused =
                send_all(&socket, &mut self.batch, &[datagram], &mut patience, |_| sent = true);
            self.stuck.note(path.socket, sent, &patience);
            if let Some(errno) = refused {
                tracing::debug!(remote = %path.remote, errno, "control packet not sent");
            }
            if sent { transmit.sent(length) } else { transmit.failed() }
        }
        self.control = control;
    }

    fn start(&mut self) {
        self.frames.clear();
        self.left = 0;
        self.refused = None;
    }

    /// Decides where a message goes and cuts it up: `spec/engine.md` 6. How many hosts it goes to.
    fn plan(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        channel: Channel,
        messages: &[&[u8]],
        index: usize,
        unicast: bool,
    ) -> Result<usize, Error> {
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
                for (fragment, part) in fragments.iter() {
                    self.frames.push(Frame {
                        socket: link.path.socket,
                        order: self.frames.len(),
                        remote: link.path.remote,
                        says: says(fragment),
                        header: [0; DATA_HEADER_LEN],
                        message: index,
                        part,
                        link: (target, place),
                    });
                }
            }
        }
        Ok(self.targets.len())
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
                let (host, link) = frame.link;
                let Some(link) = routes.at(host).and_then(|host| host.links().get(link)) else {
                    continue;
                };
                if sent & 1 << at == 0 {
                    link.counters.failed(PacketKind::Data);
                    continue;
                }
                let length = DATA_HEADER_LEN + frame.part.len();
                link.counters.sent(PacketKind::Data, 1, length as u64);
                self.left |= 1 << frame.message;
            }
        }
        self.frames.clear();
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

/// Sends datagrams of one socket, calls `sent` with the place of each that the kernel took, and
/// gives back the errno of the last that it refused. A full socket is waited for, but not for long:
/// nobody else's packets may wait for this one's.
fn send_all(
    socket: &UdpSocket,
    batch: &mut SendBatch,
    datagrams: &[Datagram<'_>],
    patience: &mut Patience,
    mut sent: impl FnMut(usize),
) -> Option<i32> {
    let mut refused = None;
    let mut next = 0;
    while let Some(rest) = datagrams.get(next..).filter(|rest| !rest.is_empty()) {
        let progress = socket.send(batch, rest);
        (next..next + progress.sent).for_each(&mut sent);
        next += progress.sent;
        let Some(error) = progress.error else { continue };
        if !patience.try_again(socket, &error) {
            refused = Some(error.errno());
            next += 1;
        }
    }
    refused
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
