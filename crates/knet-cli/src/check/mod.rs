//! `knet check`: tests each link of a planned cluster and explains what is wrong.

pub(crate) mod args;
mod diagnose;
#[cfg(test)]
mod example;
mod facts;
mod finding;
mod interfaces;
mod link_test;
mod netlink;
mod peer_reports;
mod plan;
mod probe;
mod report;
mod report_channel;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use kronosnet::{Error, EventStream, Link, PingTimers, Rejection, RejectionReason};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::links_by_host;
use crate::check::args::CheckArgs;
use crate::check::interfaces::Machine;
use crate::check::link_test::LinkTest;
use crate::check::peer_reports::PeerReports;
use crate::check::probe::PING_INTERVAL;
use crate::check::report_channel::ReportChannel;
use crate::check::verdict::Verdict;
use crate::node::Node;
use crate::output::{self, Format};
use crate::process::exit::{Faulty, Interrupted};
use crate::process::{readiness, signals};

/// Tests the links and prints the verdict.
///
/// # Errors
/// [`Usage`](crate::process::exit::Usage) if the arguments contradict each other; [`Faulty`] if a
/// link is at fault; any other failure.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let peers = links_by_host(args.id, &args.peers)?;
    // The number of the signal that arrived; 0 until then.
    let interrupted = Arc::new(AtomicI32::new(0));
    let on_signal = interrupted.clone();
    signals::watch_end(&[SIGINT, SIGTERM], move |signal| {
        on_signal.store(signal, Ordering::Relaxed);
    })
    .context("cannot watch for signals")?;
    let channel = ReportChannel::open(args)?;
    let timers =
        PingTimers { interval: PING_INTERVAL, timeout: pong_timeout(args), precision: PRECISION };
    let node = Node::join(channel.handle.clone(), &peers, timers)?;
    let mut session = Session::new(args, node, channel, timers);
    session.work(&interrupted)?;
    print(&session.verdict()?, args.format)
}

fn print(verdict: &Verdict, format: Format) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => verdict.to_table(),
        Format::Json => serde_json::to_string_pretty(verdict)? + "\n",
    };
    output::print(&text)?;
    if verdict.ok { Ok(()) } else { Err(Faulty(verdict.verdict.clone()).into()) }
}

/// A check in progress.
struct Session {
    node: Node,
    channel: ReportChannel,
    rejections: EventStream<Rejection>,
    links: Vec<LinkTest>,
    peer_reports: PeerReports,
}

impl Session {
    fn new(args: &CheckArgs, node: Node, channel: ReportChannel, timers: PingTimers) -> Self {
        let tested = |link: &Link| LinkTest::new(link.clone(), args.count, args.wait, timers);
        let links = node.links().map(|link| tested(&link.link)).collect();
        let hosts = node.peers.iter().map(|peer| peer.host.id());
        let peer_reports = PeerReports::new(args.id, args.exchange, args.wait, hosts);
        let rejections = node.handle.rejection_events();
        Self { node, channel, rejections, links, peer_reports }
    }

    /// Runs until all tests and the exchange of reports are complete.
    fn work(&mut self, interrupted: &AtomicI32) -> anyhow::Result<()> {
        let mut done_at = None;
        let mut next_report = Instant::now();
        loop {
            let signal = interrupted.load(Ordering::Relaxed);
            if signal != 0 {
                let before = "the check was complete".to_owned();
                return Err(Interrupted { signal, before }.into());
            }
            let mut is_done = true;
            for link in &mut self.links {
                // Every link has to be stepped, so this must not short-circuit.
                is_done &= link.step()?;
            }
            // The waits for the peers count from the first moment at which all links are done.
            let done_at =
                if is_done { Some(*done_at.get_or_insert_with(Instant::now)) } else { None };
            self.note_rejections();
            while let Some(message) = self.channel.receive()? {
                self.peer_reports.receive(&message);
            }
            if Instant::now() >= next_report {
                self.send_reports(is_done)?;
                next_report = Instant::now() + REPORT_INTERVAL;
            }
            if let Some(done_at) = done_at {
                if self.is_over(done_at.elapsed())? {
                    return Ok(());
                }
            }
            // Counters change without an event, so poll them.
            readiness::wait_readable(&self.channel.datafd, POLL_INTERVAL)?;
        }
    }

    fn note_rejections(&mut self) {
        for Rejection { source, reason, .. } in self.rejections.try_iter().map(|one| one.event) {
            let RejectionReason::WrongSource(host, Some(id)) = reason else { continue };
            let mut links = self.links.iter_mut();
            if let Some(test) =
                links.find(|test| (test.link.host_id(), test.link.id()) == (host, id))
            {
                test.note_elsewhere(source);
            }
        }
    }

    fn send_reports(&mut self, is_done: bool) -> anyhow::Result<()> {
        for peer in &self.node.peers {
            let host = peer.host.id();
            let links = self.links.iter().filter(|link| link.link.host_id() == host);
            let links = links.map(LinkTest::report).collect::<Result<_, _>>()?;
            let report = self.peer_reports.report(host, is_done, links);
            self.channel.send(host, &report.encode()?)?;
        }
        Ok(())
    }

    fn is_over(&self, waited: Duration) -> Result<bool, Error> {
        for peer in &self.node.peers {
            let host = peer.host.id();
            let mut links = self.links.iter().filter(|link| link.link.host_id() == host);
            let is_there = peer.host.is_reachable()? || links.any(LinkTest::is_peer_there);
            if !self.peer_reports.is_over(host, is_there, waited) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Examines the plan and the results.
    ///
    /// The plan is examined last, so that an interface that was just enabled has its carrier by now.
    fn verdict(&self) -> anyhow::Result<Verdict> {
        let machine = Machine::read().context("cannot list the interfaces of this machine")?;
        let links: Vec<_> = self.node.links().map(|link| (link.link.id(), link.path)).collect();
        let planned = plan::examine(&links, &machine);
        let mut facts = Vec::new();
        for (link, planned) in self.links.iter().zip(planned) {
            let peer = self.peer_reports.view(link.link.host_id(), link.link.id());
            facts.push(link.facts(planned, peer)?);
        }
        Ok(Verdict::new(self.node.handle.host_id(), &facts, &self.node.handle.drop_stats()))
    }
}

/// Returns the pong timeout: long, so that lost pings are counted instead of taking the link down.
fn pong_timeout(args: &CheckArgs) -> Duration {
    args.wait.saturating_mul(2).max(Duration::from_secs(30))
}

/// Averages the latency over all round trips.
const PRECISION: u32 = u32::MAX;
/// How often reports are sent to the peers.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often counters are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
