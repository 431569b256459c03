//! Sends messages: one message in the thread of its caller, or a batch on knet-tx.

use std::sync::Arc;
use std::time::Instant;

use knet_channel::Channel;
use knet_engine::Routes;

use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::error::Error;
use crate::filter;
use crate::io::batch::BATCH;
use crate::log::{Causes, log};
use crate::send_report::{NotSent, SendFailure, SendReport};
use crate::tx::message::Message;
use crate::tx::outgoing::{Outgoing, Plan};
use crate::tx::plan::{Addressing, Planner};
use crate::tx::settle::{count_refusal, settle};

/// What a thread sends messages with. Its memory is allocated once and reused: knet-tx has one, and so has each
/// thread that calls `send` at the same time.
#[derive(Debug, Default)]
pub(crate) struct Transmitter {
    planner: Planner,
    pub(crate) plan: Plan,
    pub(crate) sender: ControlSender,
}

/// How far a batch of messages of one channel has got.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) channel: Channel,
    /// The routes of the packets that are on their way.
    routes: Arc<Routes>,
    /// The first message that is not planned yet.
    next: usize,
}

impl Batch {
    pub(crate) fn new(shared: &Shared, channel: Channel) -> Self {
        Self { channel, routes: shared.routes(), next: 0 }
    }
}

impl Transmitter {
    /// Sends one message, and blocks the thread while there is no room.
    pub(crate) fn send(
        &mut self,
        shared: &Shared,
        channel: Channel,
        message: &[u8],
        addressing: Addressing,
    ) -> Result<SendReport, Error> {
        let routes = shared.routes();
        self.begin(true);
        let message = Message::uncompressed(message);
        let counters = shared.datafds.counters(channel);
        let broadcast = self
            .planner
            .plan(shared, &routes, &mut self.plan, (0, message), channel, addressing)
            .inspect_err(|error| count_refusal(counters, error))?;
        let messages = [message];
        let mut outgoing = self.outgoing(shared, &routes, &messages);
        outgoing.send();
        if !outgoing.plan.has_left() {
            // Others may take the room again and again, so the timeout of the socket is not enough.
            outgoing.wait_for_room(Instant::now().checked_add(shared.backpressure.send_timeout()));
        }
        settle(&mut self.plan, &mut self.planner, &routes, &messages, counters);
        let failures = self.planner.take_failures();
        let report = if broadcast {
            SendReport::broadcast(routes, failures)
        } else {
            SendReport::listed(&routes, self.planner.targets(), failures)
        };
        if report.hosts > 0 { Ok(report) } else { Err(no_host(&report)) }
    }

    /// Continues a batch of messages that were read from a datafd, and counts what goes wrong. Returns `true`
    /// if the batch is done. Otherwise packets are blocked, or the filter has had its time, and this has to be
    /// called again.
    pub(crate) fn send_batch(
        &mut self,
        shared: &Shared,
        batch: &mut Batch,
        messages: &[Message<'_>],
    ) -> bool {
        let counters = shared.datafds.counters(batch.channel);
        let started = shared.has_filter().then(Instant::now);
        // With forwarding off, the filter is not called for the rest.
        let is_over = || {
            started.is_some_and(|started| started.elapsed() > filter::SLICE)
                && shared.is_forwarding()
        };
        loop {
            if !self.outgoing(shared, &batch.routes, messages).retry() {
                return false;
            }
            settle(&mut self.plan, &mut self.planner, &batch.routes, messages, counters);
            if batch.next >= messages.len() {
                return true;
            }
            if batch.next > 0 {
                if is_over() {
                    return false;
                }
                batch.routes = shared.routes();
            }
            self.plan_some(shared, batch, messages, is_over);
            self.outgoing(shared, &batch.routes, messages).send();
            if !self.plan.has_left() {
                // Not retried at once: others may have waited for longer.
                return false;
            }
        }
    }

    /// Plans the next messages of a batch: about as many as fill a system call, and at least one.
    fn plan_some(
        &mut self,
        shared: &Shared,
        batch: &mut Batch,
        messages: &[Message<'_>],
        is_over: impl Fn() -> bool,
    ) {
        let Batch { channel, ref routes, ref mut next } = *batch;
        self.begin(false);
        while self.plan.planned < BATCH {
            let Some(&message) = messages.get(*next) else { break };
            let message = (*next, message);
            *next += 1;
            let plan = &mut self.plan;
            let planned =
                self.planner.plan(shared, routes, plan, message, channel, Addressing::Any);
            if let Err(error) = planned {
                log!(debug, shared.log, Tx, %channel, error = %Causes(&error), "message not sent");
                count_refusal(shared.datafds.counters(channel), &error);
            }
            if is_over() {
                break;
            }
        }
    }

    fn begin(&mut self, reporting: bool) {
        self.plan.clear();
        self.planner.begin(reporting);
    }

    /// Returns the plan with everything that is needed to carry it out.
    pub(crate) fn outgoing<'a>(
        &'a mut self,
        shared: &'a Shared,
        routes: &'a Routes,
        messages: &'a [Message<'a>],
    ) -> Outgoing<'a> {
        let Self { plan, sender, .. } = self;
        Outgoing { shared, routes, messages, plan, sender }
    }
}

/// Returns why a message went to no host at all.
fn no_host(report: &SendReport) -> Error {
    let failures: Vec<_> = report.failures().collect();
    let gone =
        |failure: &SendFailure| matches!(failure.reason, NotSent::Unreachable | NotSent::Unknown);
    if failures.iter().all(gone) {
        Error::NoReachableHost { failures }
    } else {
        Error::NotSent { failures }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use knet_engine::SocketId;
    use knet_wire::{HostId, LinkId};

    use super::*;
    use crate::fixtures::{DEADLINE, to_itself, to_itself_with};
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

    /// Closes a socket that a local socket and a link use, while the routes still name it.
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
            one.host(host).unwrap().wait_until_reachable(Duration::from_secs(10)).unwrap();
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
        assert!(matches!(datafd.send(&long).unwrap_err(), Error::NoReachableHost { .. }));
        let stats = one.channel_stats(datafd.channel());
        assert_eq!((stats.tx_messages, stats.tx_no_destination), (2, 1));
    }

    /// The packets of others would be sent before for fifty times as long.
    #[test]
    fn a_call_of_send_fails_after_its_timeout_although_others_take_the_room() {
        let timeout = Duration::from_secs(1);
        let (handle, socket) = to_itself_with(timeout);
        let (shared, start) = (handle.shared(), Instant::now());
        shared.backpressure.fill(socket, start);
        shared.backpressure.let_control_go_first(socket, start + 2 * DEADLINE);
        let sent = Transmitter::default().send(shared, Channel::ALL[3], b"1", Addressing::Any);
        let Err(Error::NotSent { failures }) = sent else { panic!("{sent:?}") };
        assert_eq!(failures[0].reason, NotSent::QueueFull);
        assert!(start.elapsed() < 30 * timeout, "it waited for its turn");
    }

    /// A long message to a thousand hosts would have hundreds of thousands.
    #[test]
    fn the_packets_of_a_message_are_planned_once_per_link_and_not_each() {
        let (handle, _) = to_itself();
        let mut transmitter = Transmitter::default();
        let long = vec![1; 65_536];
        let (shared, channel) = (handle.shared(), Channel::ALL[3]);
        let sent = transmitter.send(shared, channel, &long, Addressing::Any);
        assert_eq!(sent.unwrap().hosts, 1);
        let plan = &transmitter.plan;
        assert!(plan.packets.len() > 1 && plan.planned == plan.packets.len());
        assert_eq!(plan.copies.len(), 1);
    }

    #[test]
    fn each_part_of_a_batch_goes_by_the_routes_of_its_time() {
        let (handle, _) = to_itself();
        let (shared, channel) = (handle.shared(), Channel::ALL[3]);
        let messages = [b"1", b"2"].map(|plain| Message::uncompressed(plain));
        let mut transmitter = Transmitter::default();
        let mut batch = Batch::new(shared, channel);
        assert!(transmitter.send_batch(shared, &mut batch, &messages[..1]));
        handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap().disable().unwrap();
        assert!(transmitter.send_batch(shared, &mut batch, &messages));
        let stats = handle.channel_stats(channel);
        assert_eq!((stats.tx_messages, stats.tx_no_destination), (1, 1));
    }
}
