//! `knet monitor`: shows hosts and links, on a full screen or once.

pub(crate) mod args;
mod clock;
mod columns;
mod down_reason;
mod event;
#[cfg(test)]
mod example;
mod layout;
mod log;
mod log_entry;
mod model;
mod sampler;
mod screen;
mod snapshot;
mod table;
mod terminal;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::Context;
use kronosnet::{Handle, Notification, PingTimers};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};

use crate::args::{links_by_host, require_local};
use crate::monitor::args::MonitorArgs;
use crate::monitor::event::Event;
use crate::monitor::log_entry::LogEntry;
use crate::monitor::sampler::Sampler;
use crate::monitor::snapshot::Snapshot;
use crate::node::Node;
use crate::output::{self, Format};
use crate::process::exit::{Unreachable, Usage};
use crate::process::signals;

/// Shows the links until the user ends the command, or once.
///
/// # Errors
/// [`Usage`] if the arguments contradict each other, or without a terminal and without `--once`;
/// [`Unreachable`] with `--once` if a peer is not reachable; any other failure.
pub(crate) fn run(args: &MonitorArgs) -> anyhow::Result<()> {
    let peers = links_by_host(args.id, &args.peers)?;
    if !args.once {
        for (name, is_terminal) in
            [("output", io::stdout().is_terminal()), ("input", io::stdin().is_terminal())]
        {
            if !is_terminal {
                let text = format!("standard {name} is not a terminal: use --once");
                return Err(Usage(text).into());
            }
        }
    }
    require_local(&args.peers)?;
    let (sender, events) = mpsc::channel();
    watch_signals(&sender, args.once).context("cannot watch for signals")?;
    let handle = Handle::new(args.id)?;
    // Subscribe before there are links, so that no event is missed.
    watch_links(&handle, &sender);
    let timers = PingTimers { interval: PING_INTERVAL, ..PingTimers::default() };
    let sampler = Sampler::new(Node::join(handle, &peers, timers)?);
    if args.once {
        print_once(sampler, args, &events)
    } else {
        screen::run(sampler, sender, &events)
    }
}

fn watch_signals(sender: &Sender<Event>, once: bool) -> io::Result<()> {
    let end = sender.clone();
    let ends = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];
    // The channel may be closed: the command is ending anyway.
    signals::watch_end(&ends, move |_| drop(end.send(Event::End)))?;
    if once {
        return Ok(());
    }
    let screen = sender.clone();
    signals::watch(&[SIGWINCH, SIGCONT, SIGTSTP], move |signal| {
        let event = match signal {
            SIGTSTP => Event::Suspend,
            SIGCONT => Event::Continued,
            _ => Event::Resized,
        };
        drop(screen.send(event));
    })
}

fn watch_links(handle: &Handle, sender: &Sender<Event>) {
    let log = sender.clone();
    handle.on_link_event(move |_, Notification { event, .. }| {
        let _ = log.send(Event::Log(event.into()));
    });
    let log = sender.clone();
    handle.on_host_event(move |_, Notification { event, .. }| {
        let _ = log.send(Event::Log(event.into()));
    });
    let log = sender.clone();
    handle.on_address_event(move |_, Notification { event, .. }| {
        let _ = log.send(Event::Log(event.into()));
    });
    let log = sender.clone();
    handle.on_mtu_event(move |_, Notification { event, .. }| {
        if let Some(entry) = LogEntry::of_mtu(event) {
            let _ = log.send(Event::Log(entry));
        }
    });
}

/// Waits for the peers and prints the state once.
fn print_once(
    mut sampler: Sampler,
    args: &MonitorArgs,
    events: &Receiver<Event>,
) -> anyhow::Result<()> {
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

/// Waits until `is_done` returns `true`, the deadline passes or a signal arrives.
fn wait_until(
    sampler: &mut Sampler,
    events: &Receiver<Event>,
    deadline: Instant,
    is_done: impl Fn(&Sampler) -> Result<bool, kronosnet::Error>,
) -> anyhow::Result<()> {
    while !is_done(sampler)? {
        // A path MTU search that finds nothing new causes no event, so poll for its end.
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left.min(POLL_INTERVAL)) {
            Ok(Event::Log(entry)) => sampler.log(entry),
            Ok(Event::Key(_) | Event::Resized | Event::Suspend | Event::Continued) => {}
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

/// Short enough to detect failures soon, long enough to be no load.
const PING_INTERVAL: Duration = Duration::from_millis(200);
/// How long `--once` waits for the other links and the path MTU once all peers are reachable.
const SETTLE: Duration = Duration::from_secs(2);
/// How often to check whether the path MTU is known.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
