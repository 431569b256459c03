//! `knet cat`: standard input to the peers, messages from the peers to standard output.
//!
//! One thread reads and sends, one receives, one writes, one returns credit, one waits for signals. The
//! main thread collects the events that may end the command and is never blocked by any of the others.

pub(crate) mod args;
mod arrivals;
mod cluster;
mod credit_thread;
mod destinations;
mod event;
mod filter;
mod flow_control;
mod framing;
mod input_thread;
mod links;
mod logging;
mod notice;
mod output_thread;
mod receive_thread;
mod spool;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cat::args::CatArgs;
use crate::cat::cluster::Cluster;
use crate::cat::event::{Event, Events};
use crate::cat::framing::Framing;
use crate::cat::receive_thread::ReceiveThread;
use crate::cat::spool::Spool;
use crate::process::exit::{Interrupted, Unreachable};
use crate::process::stdio::{self, OutputClosed};
use crate::process::{signals, stderr};

/// Runs until the input has ended and enough messages were received, or until something ends the
/// command earlier.
///
/// # Errors
/// [`Usage`](crate::process::exit::Usage) if the arguments contradict each other or a line is too
/// long; [`Unreachable`] if a peer cannot be reached;
/// [`Interrupted`]; [`OutputClosed`]; any other failure.
pub(crate) fn run(args: &CatArgs) -> anyhow::Result<()> {
    if args.verbose {
        logging::log_to_stderr()?;
    }
    let (sender, events) = mpsc::channel();
    let on_signal = sender.clone();
    // The channel may be closed: the command is ending anyway.
    signals::watch_end(&[SIGINT, SIGTERM], move |signal| {
        drop(on_signal.send(Event::Signal(signal)));
    })
    .context("cannot watch for signals")?;
    let cluster = Cluster::start(args, &sender)?;
    let spool = Arc::new(Spool::default());
    output_thread::start(spool.clone(), sender.clone()).context("cannot start writing")?;
    let receive_thread = ReceiveThread::start(cluster.clone(), args, spool, sender.clone())
        .context("cannot start receiving")?;
    let credit_thread =
        credit_thread::start(cluster.clone()).context("cannot start returning credit")?;
    let mut session = Session { cluster, events, enough: args.recv == 0, output_ended: false };
    let outcome = session.work(args, sender, &receive_thread);
    if outcome.is_ok() {
        session.cluster.arrivals.done();
    }
    session.cluster.arrivals.close();
    credit_thread.join().map_err(|_| anyhow!("the thread that returns credit panicked"))?;
    let finished = session.finish(receive_thread, outcome.is_err());
    outcome?;
    finished?;
    let lost = session.cluster.lost();
    ensure!(lost == 0, "{lost} message(s) were lost: the output was not read fast enough");
    Ok(())
}

struct Session {
    cluster: Cluster,
    events: Receiver<Event>,
    /// `true` once the requested number of messages has been received.
    enough: bool,
    output_ended: bool,
}

impl Session {
    /// Runs the job. Fails if something ends it earlier.
    fn work(
        &mut self,
        args: &CatArgs,
        sender: Events,
        receive_thread: &ReceiveThread,
    ) -> anyhow::Result<()> {
        self.wait_for_peers(args.wait)?;
        if args.verbose {
            stderr::line(format_args!("starting"));
        }
        let framing = if args.lines { Framing::Lines } else { Framing::Blocks(args.message_size) };
        input_thread::start(self.cluster.clone(), framing, sender)
            .context("cannot start reading")?;
        let mut input_ended = false;
        let mut reachable_at = Instant::now();
        while !(input_ended && self.enough) {
            let event = match self.events.recv_timeout(CHECK_INTERVAL) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => {
                    match self.cluster.all_lost()? {
                        Some(_) if self.enough || reachable_at.elapsed() < args.wait => {}
                        Some(lost) => return Err(missing(&lost, receive_thread, args).into()),
                        None => reachable_at = Instant::now(),
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => bail!("all threads have ended"),
            };
            match event {
                Event::HostReachable(_) => {}
                Event::ReceivedEnough => self.enough = true,
                Event::InputEnded(outcome) => {
                    outcome?;
                    input_ended = true;
                    if !self.enough {
                        receive_thread.input_ended();
                    }
                }
                Event::OutputEnded(outcome) => return Err(self.output_ended(outcome)),
                Event::Signal(signal) => {
                    let before = if input_ended {
                        format!("{} messages were received", args.recv)
                    } else {
                        "the input ended".to_owned()
                    };
                    return Err(Interrupted { signal, before }.into());
                }
            }
        }
        Ok(())
    }

    /// Waits until every peer has been reachable at least once. A peer that has already sent
    /// everything may be gone again by then.
    ///
    /// Afterwards waits until the peers have found us reachable too, because they drop our messages
    /// until then. This second wait ends quietly after `wait`: a peer may have its link disabled.
    fn wait_for_peers(&mut self, wait: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + wait;
        let mut met = BTreeSet::new();
        let mut greeted = Greeted::default();
        loop {
            let complete = self.cluster.is_complete(&met);
            if complete && self.cluster.is_known_to_peers()? && self.greet(&mut greeted) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // A pong that we send causes no event, so poll for it.
            let pause = if complete { left.min(POLL_INTERVAL) } else { left };
            match self.events.recv_timeout(pause) {
                Ok(Event::HostReachable(host)) => {
                    met.insert(host);
                }
                // Reading starts only after this wait.
                Ok(Event::InputEnded(_)) => {}
                Ok(Event::ReceivedEnough) => self.enough = true,
                Ok(Event::OutputEnded(outcome)) => return Err(self.output_ended(outcome)),
                Ok(Event::Signal(signal)) => {
                    let before = "every peer was reachable".to_owned();
                    return Err(Interrupted { signal, before }.into());
                }
                Err(_) if !left.is_zero() && complete => {}
                Err(_) if complete => return Ok(()),
                Err(_) => return Err(self.cluster.unreachable().into()),
            }
        }
    }

    /// Asks the destinations for credit, now and then. Returns `true` once all have answered, or those
    /// that have not are no `knet cat`.
    fn greet(&self, greeted: &mut Greeted) -> bool {
        let now = Instant::now();
        let first = *greeted.first.get_or_insert(now);
        if self.cluster.all_return_credit() || now - first >= GREETING_TIMEOUT {
            return true;
        }
        if greeted.last.is_none_or(|last| now - last >= GREETING_INTERVAL) {
            greeted.last = Some(now);
            self.cluster.greet();
        }
        false
    }

    /// Explains why writing has ended before the job was done.
    fn output_ended(&mut self, outcome: io::Result<()>) -> anyhow::Error {
        self.output_ended = true;
        outcome.map_or_else(stdio::output_error, |()| OutputClosed.into())
    }

    /// Waits until all received messages are written. The wait has no limit, unless `hurry` is set or a signal is received.
    fn finish(&mut self, receive_thread: ReceiveThread, mut hurry: bool) -> anyhow::Result<()> {
        self.cluster.close()?;
        receive_thread.stop();
        let mut interrupted = Ok(());
        while !self.output_ended {
            let event = if hurry {
                self.events.recv_timeout(LAST_WRITES).ok()
            } else {
                self.events.recv().ok()
            };
            match event {
                Some(Event::OutputEnded(outcome)) => {
                    self.output_ended = true;
                    outcome.map_err(stdio::output_error)?;
                }
                Some(Event::Signal(signal)) => {
                    hurry = true;
                    let before = "all received messages were written".to_owned();
                    interrupted = Err(Interrupted { signal, before });
                }
                Some(_) => {}
                None => break,
            }
        }
        // Everything may have been written in spite of the signal.
        if self.output_ended { Ok(()) } else { Ok(interrupted?) }
    }
}

/// When the destinations were asked for credit.
#[derive(Debug, Default)]
struct Greeted {
    first: Option<Instant>,
    last: Option<Instant>,
}

/// Describes which messages are missing because the peers are gone.
fn missing(lost: &str, receive_thread: &ReceiveThread, args: &CatArgs) -> Unreachable {
    let were = if lost.starts_with("hosts") { "were" } else { "was" };
    let (received, count) = (receive_thread.received(), args.recv);
    Unreachable(format!("{lost} {were} lost; {received} of {count} messages received"))
}

/// How often to check whether the peers are reachable.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How often to ask for credit at the start.
const GREETING_INTERVAL: Duration = Duration::from_millis(100);
/// After which time a peer that does not answer is another program.
const GREETING_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to check whether the peers' pings have been answered.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long to write received messages when in a hurry. The reader of the pipe may keep it open
/// without reading.
const LAST_WRITES: Duration = Duration::from_secs(1);
