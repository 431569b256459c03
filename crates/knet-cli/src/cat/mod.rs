//! `knet cat`: standard input to the peers, what the peers send to standard output.
//!
//! One thread reads and sends, one receives, one writes, one waits for signals; this one hears of
//! everything that may end the command and is never held up by any of it.

mod cluster;
mod event;
mod flow;
mod input;
mod intake;
mod links;
mod messages;
mod output;
mod spool;
mod verbose;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::CatArgs;
use crate::cat::cluster::Cluster;
use crate::cat::event::{Event, Events};
use crate::cat::intake::Intake;
use crate::cat::messages::Framing;
use crate::cat::spool::Spool;
use crate::signals;
use crate::stderr;

/// Runs until the input is at its end and enough was received, or something ends it.
///
/// # Errors
/// [`Usage`](crate::exit::Usage) if the arguments contradict each other or a line is too long,
/// [`Unreachable`](crate::exit::Unreachable) if a peer cannot be reached, whatever else fails.
pub(crate) fn run(args: &CatArgs) -> anyhow::Result<()> {
    if args.verbose {
        verbose::log_to_stderr();
    }
    let (tell, events) = mpsc::channel();
    let end = tell.clone();
    // Nobody listens any more when the command is ending anyway.
    signals::watch(&[SIGINT, SIGTERM], move || drop(end.send(Event::Signal)))
        .context("watching for signals")?;
    let cluster = Cluster::start(args, &tell)?;
    let spool = Arc::new(Spool::default());
    output::start(spool.clone(), tell.clone()).context("starting to write")?;
    let intake = Intake::start(cluster.datafd.clone(), args, spool, tell.clone())
        .context("starting to receive")?;
    let mut session = Session { cluster, events, enough: args.recv == 0, output_ended: false };
    let outcome = session.work(args, tell, &intake);
    let is_done = matches!(outcome, Ok(End::Done));
    let finished = session.finish(intake, !is_done);
    outcome?;
    finished?;
    let lost = if is_done { session.cluster.lost() } else { 0 };
    ensure!(lost == 0, "{lost} message(s) were lost: the output was not read fast enough");
    Ok(())
}

/// Why the command ends without having failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Its job is done.
    Done,
    /// Nobody reads the output any more.
    OutputClosed,
    /// It was asked to.
    Signal,
}

struct Session {
    cluster: Cluster,
    events: Receiver<Event>,
    /// Whether as many messages were received as were asked for.
    enough: bool,
    output_ended: bool,
}

impl Session {
    /// Does the job; returns when it is done or something ends it.
    fn work(&mut self, args: &CatArgs, tell: Events, intake: &Intake) -> anyhow::Result<End> {
        if let Some(end) = self.wait_for_peers(args.wait)? {
            return Ok(end);
        }
        if args.verbose {
            stderr::line(format_args!("starting"));
        }
        let framing = if args.lines { Framing::Lines } else { Framing::Blocks(args.message_size) };
        input::start(self.cluster.clone(), framing, tell).context("starting to read")?;
        let mut input_ended = false;
        while !(input_ended && self.enough) {
            match self.events.recv().context("all threads have ended")? {
                Event::HostReachable(_) => {}
                Event::ReceivedEnough => self.enough = true,
                Event::InputEnded(outcome) => {
                    outcome?;
                    input_ended = true;
                    if !self.enough {
                        intake.input_ended();
                    }
                }
                Event::OutputEnded(outcome) => return self.output_ended(outcome),
                Event::Signal => return Ok(End::Signal),
            }
        }
        Ok(End::Done)
    }

    /// Waits until every peer was reachable; `Some` if something ends the command before. A peer
    /// that has sent us everything may be gone again by then.
    ///
    /// Then it waits until they should have found us too, or nothing would come of what we send. A
    /// peer that does not look for us is not waited for longer than the time allows.
    fn wait_for_peers(&mut self, wait: Duration) -> anyhow::Result<Option<End>> {
        let deadline = Instant::now() + wait;
        let mut met = BTreeSet::new();
        loop {
            let complete = self.cluster.is_complete(&met);
            if complete && self.cluster.is_known()? {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // Nothing tells that a peer was answered.
            let pause = if complete { left.min(STEP) } else { left };
            match self.events.recv_timeout(pause) {
                Ok(Event::HostReachable(host)) => {
                    met.insert(host);
                }
                Ok(Event::InputEnded(_)) => {}
                Ok(Event::ReceivedEnough) => self.enough = true,
                Ok(Event::OutputEnded(outcome)) => return self.output_ended(outcome).map(Some),
                Ok(Event::Signal) => return Ok(Some(End::Signal)),
                Err(_) if !left.is_zero() && complete => {}
                Err(_) if complete => return Ok(None),
                Err(_) => return Err(self.cluster.unreachable().into()),
            }
        }
    }

    fn output_ended(&mut self, outcome: io::Result<()>) -> anyhow::Result<End> {
        self.output_ended = true;
        outcome.context("cannot write the output")?;
        Ok(End::OutputClosed)
    }

    /// Lets the peers have what was sent, and writes what was received: however long that takes,
    /// unless something went wrong or a signal came.
    fn finish(&mut self, intake: Intake, mut hurry: bool) -> anyhow::Result<()> {
        self.cluster.close(hurry)?;
        intake.stop();
        while !self.output_ended {
            let event = if hurry {
                self.events.recv_timeout(LAST_WRITES).ok()
            } else {
                self.events.recv().ok()
            };
            match event {
                Some(Event::OutputEnded(outcome)) => {
                    self.output_ended(outcome)?;
                }
                Some(Event::Signal) => hurry = true,
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }
}

/// How often it is looked whether the peers were answered.
const STEP: Duration = Duration::from_millis(5);
/// How long writing what was received may take in a hurry: somebody may keep the other end of the
/// pipe open and not read.
const LAST_WRITES: Duration = Duration::from_secs(1);
