//! `knet monitor`: shows hosts and links, on the screen or once.

pub(crate) mod args;
mod columns;
#[cfg(test)]
mod example;
mod log;
mod model;
mod sampler;
mod screen;
mod snapshot;
mod table;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::Context;
use kronosnet::{Handle, PingTimers};
use ratatui::crossterm::event::KeyEvent;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

use crate::exit::{Unreachable, Usage};
use crate::monitor::args::MonitorArgs;
use crate::monitor::log::Entry;
use crate::monitor::sampler::Sampler;
use crate::monitor::snapshot::Snapshot;
use crate::node::Node;
use crate::output::{self, Format};
use crate::{peer, signals};

/// Something that the monitor has to heed.
#[derive(Debug)]
enum Event {
    /// For the event log.
    Happened(Entry),
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// A signal came, or the terminal was closed.
    End,
}

/// Shows the links until it is ended, or once.
///
/// # Errors
/// [`Usage`] for arguments that contradict each other or a standard output that is no terminal;
/// [`Unreachable`] with `--once` if a peer is not reachable; whatever else fails.
pub(crate) fn run(args: &MonitorArgs) -> anyhow::Result<()> {
    let peers = peer::by_host(args.id, &args.peers)?;
    if !args.once {
        for (name, is_terminal) in
            [("output", io::stdout().is_terminal()), ("input", io::stdin().is_terminal())]
        {
            if !is_terminal {
                let text = format!("standard {name} is not a terminal: --once prints and ends");
                return Err(Usage(text).into());
            }
        }
    }
    let (tell, events) = mpsc::channel();
    watch_signals(&tell).context("watching for signals")?;
    let handle = Handle::new(args.id)?;
    watch_links(&handle, &tell);
    let timers = PingTimers { interval: PING_INTERVAL, ..PingTimers::default() };
    let sampler = Sampler::new(Node::join(handle, &peers, timers)?);
    if args.once { once(sampler, args, &events) } else { screen::run(sampler, tell, &events) }
}

fn watch_signals(tell: &Sender<Event>) -> io::Result<()> {
    let (end, resized) = (tell.clone(), tell.clone());
    // Nobody listens any more when the command is ending anyway.
    signals::watch(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT], move || drop(end.send(Event::End)))?;
    signals::watch(&[SIGWINCH], move || drop(resized.send(Event::Resized)))
}

fn watch_links(handle: &Handle, tell: &Sender<Event>) {
    let happened = tell.clone();
    handle.on_link_event(move |_, event| {
        let _ = happened.send(Event::Happened(event.into()));
    });
    let happened = tell.clone();
    handle.on_host_event(move |_, event| {
        let _ = happened.send(Event::Happened(event.into()));
    });
    let happened = tell.clone();
    handle.on_mtu_event(move |_, event| {
        if let Some(entry) = Entry::of_mtu(event) {
            let _ = happened.send(Event::Happened(entry));
        }
    });
}

/// `--once`: waits for the peers, prints and ends.
fn once(mut sampler: Sampler, args: &MonitorArgs, events: &Receiver<Event>) -> anyhow::Result<()> {
    let deadline = Instant::now() + args.wait;
    wait_until(&mut sampler, events, deadline, |sampler| Ok(sampler.is_complete()))?;
    if sampler.is_complete() {
        let settled = Instant::now() + SETTLE;
        wait_until(&mut sampler, events, settled.min(deadline), Sampler::is_settled)?;
    }
    let snapshot = sampler.sample()?;
    let text = match args.format {
        Format::Table => table::render(&snapshot),
        Format::Json => serde_json::to_string_pretty(&snapshot)? + "\n",
    };
    output::print(&text)?;
    if snapshot.all_reachable { Ok(()) } else { Err(unreachable(&snapshot).into()) }
}

/// Waits until `is_done` says so, time runs out or a signal comes.
fn wait_until(
    sampler: &mut Sampler,
    events: &Receiver<Event>,
    deadline: Instant,
    is_done: impl Fn(&Sampler) -> Result<bool, kronosnet::Error>,
) -> anyhow::Result<()> {
    while !is_done(sampler)? {
        // The end of a search that finds nothing new is no event, so it is looked for.
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left.min(LOOK_AGAIN)) {
            Ok(Event::Happened(entry)) => sampler.log(entry),
            Ok(Event::Key(_) | Event::Resized) => {}
            Ok(Event::End) => return Ok(()),
            Err(_) if left.is_zero() => return Ok(()),
            Err(_) => {}
        }
    }
    Ok(())
}

fn unreachable(snapshot: &Snapshot) -> Unreachable {
    let lost = snapshot.hosts.iter().filter(|host| !host.reachable);
    let lost: Vec<String> = lost.map(|host| format!("host {}", host.id)).collect();
    Unreachable(format!("not reachable: {}", lost.join(", ")))
}

/// Often enough to see trouble soon, seldom enough to be no load.
const PING_INTERVAL: Duration = Duration::from_millis(200);
/// How long `--once` waits for more than that the peers are reachable.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is looked whether the path MTU is known.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
