//! `knet check`: tests each link of a planned cluster and says in words what is wrong.

pub(crate) mod args;
mod diagnose;
#[cfg(test)]
mod example;
mod exchange;
mod finding;
mod interfaces;
mod plan;
mod probe;
mod report;
mod tested;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, Error, Handle, HostId, Link,
    MAX_MESSAGE, PingTimers, Verdict as Filtered,
};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::check::args::{CheckArgs, Exchange};
use crate::check::exchange::Results;
use crate::check::probe::PING_INTERVAL;
use crate::check::tested::Tested;
use crate::check::verdict::Verdict;
use crate::exit::Faulty;
use crate::node::Node;
use crate::output::{self, Format};
use crate::{peer, readiness, signals};

/// Tests the links, prints what was found and ends.
///
/// # Errors
/// [`Usage`](crate::exit::Usage) for arguments that contradict each other; [`Faulty`] if a link is
/// not fine; whatever else fails.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let peers = peer::by_host(args.id, &args.peers)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let tell = interrupted.clone();
    signals::watch(&[SIGINT, SIGTERM], move || tell.store(true, Ordering::Relaxed))
        .context("watching for signals")?;
    let post = Post::open(args)?;
    let timers =
        PingTimers { interval: PING_INTERVAL, timeout: timeout(args), precision: PRECISION };
    let node = Node::join(post.handle.clone(), &peers, timers)?;
    let mut session = Session::new(args, node, post, timers);
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

/// A check under way.
struct Session {
    node: Node,
    post: Post,
    links: Vec<Tested>,
    results: Results,
}

impl Session {
    fn new(args: &CheckArgs, node: Node, post: Post, timers: PingTimers) -> Self {
        let tested = |link: &Link| Tested::new(link.clone(), args.count, args.wait, timers);
        let links = node.links().map(|link| tested(&link.link)).collect();
        let hosts = node.peers.iter().map(|peer| peer.host.id());
        let results = Results::new(args.id, args.exchange, args.wait, hosts);
        Self { node, post, links, results }
    }

    /// Tests until everything is known that can be.
    fn work(&mut self, interrupted: &AtomicBool) -> anyhow::Result<()> {
        let mut done_at = None;
        let mut next_report = Instant::now();
        loop {
            ensure!(
                !interrupted.load(Ordering::Relaxed),
                "interrupted before the end of the check"
            );
            let mut is_done = true;
            for link in &mut self.links {
                is_done &= link.step()?;
            }
            let done_at =
                if is_done { Some(*done_at.get_or_insert_with(Instant::now)) } else { None };
            while let Some(message) = self.post.receive()? {
                self.results.receive(&message);
            }
            if Instant::now() >= next_report {
                self.tell_peers(is_done)?;
                next_report = Instant::now() + REPORT_INTERVAL;
            }
            if let Some(done_at) = done_at {
                if self.is_over(done_at.elapsed())? {
                    return Ok(());
                }
            }
            // Counters change without telling, so they are looked at again and again.
            readiness::wait_readable(&self.post.datafd, LOOK_AGAIN)?;
        }
    }

    fn tell_peers(&mut self, is_done: bool) -> anyhow::Result<()> {
        for peer in &self.node.peers {
            let host = peer.host.id();
            let links = self.links.iter().filter(|link| link.link.host_id() == host);
            let links = links.map(Tested::report).collect::<Result<_, _>>()?;
            let report = self.results.report(host, is_done, links);
            self.post.send(host, &report.encode()?)?;
        }
        Ok(())
    }

    fn is_over(&self, waited: Duration) -> Result<bool, Error> {
        for peer in &self.node.peers {
            if !self.results.is_over(peer.host.id(), peer.host.is_reachable()?, waited) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at the plan last: an interface that was being switched on has its carrier by now.
    fn verdict(&self) -> anyhow::Result<Verdict> {
        let interfaces = interfaces::list().context("cannot list the addresses of this machine")?;
        let links: Vec<_> = self.node.links().map(|link| (link.link.id(), link.path)).collect();
        let planned = plan::examine(&links, &interfaces);
        let mut facts = Vec::new();
        for (link, planned) in self.links.iter().zip(planned) {
            let peer = self.results.view(link.link.host_id(), link.link.id());
            facts.push(link.facts(planned, peer)?);
        }
        Ok(Verdict::new(self.node.handle.host_id(), &facts, &self.node.handle.drop_stats()))
    }
}

/// Where messages to and from other checks go through.
struct Post {
    handle: Handle,
    datafd: Datafd,
    channel: Channel,
    /// The host that the message is for that is being sent.
    addressee: Arc<AtomicU16>,
    buffer: Vec<u8>,
}

impl Post {
    fn open(args: &CheckArgs) -> Result<Self, Error> {
        let handle = Handle::new(args.id)?;
        // What is lost because we are late comes again.
        handle.on_datafd_event(|_, _| {});
        let datafd =
            handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(args.channel))?;
        let addressee = Arc::new(AtomicU16::new(0));
        let to = addressee.clone();
        handle.set_filter(move |message| match message.direction() {
            Direction::Rx => Filtered::Broadcast,
            Direction::Tx => {
                message.send_to(HostId::new(to.load(Ordering::Relaxed)));
                Filtered::Listed
            }
        })?;
        handle.set_forwarding(args.exchange != Exchange::Never)?;
        let buffer = vec![0; MAX_MESSAGE];
        Ok(Self { handle, datafd, channel: args.channel, addressee, buffer })
    }

    /// Sends a message to one host, if it can be: it is repeated anyway.
    fn send(&self, to: HostId, message: &[u8]) -> Result<(), Error> {
        if !self.handle.forwarding() {
            return Ok(());
        }
        self.addressee.store(to.get(), Ordering::Relaxed);
        match self.handle.send(self.channel, message) {
            Ok(_) | Err(Error::HostDown { .. } | Error::Send { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A message that has come, if any.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.handle.recv(self.channel, &mut self.buffer) {
            Ok(length) => Ok(Some(self.buffer[..length].to_vec())),
            Err(Error::WouldBlock(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How old the last answer may get before the link is down. Loss is to be counted, not to end the
/// test.
fn timeout(args: &CheckArgs) -> Duration {
    args.wait.saturating_mul(2).max(Duration::from_secs(30))
}

/// Over how many round trips the mean is taken: all of them.
const PRECISION: u32 = u32::MAX;
/// How often the peers are told what is seen.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often counters are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
