//! The full screen, updated until the user ends it.

use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use termion::input::TermRead;

use crate::monitor::event::Event;
use crate::monitor::model::{Action, Model};
use crate::monitor::sampler::Sampler;
use crate::monitor::terminal::Screen;
use crate::monitor::view;
use crate::process::stdio::Patient;

/// Shows the samples until q is pressed, a signal arrives or the terminal is closed.
///
/// # Errors
/// An error if the terminal cannot be used; those of the calls to kronosnet.
pub(crate) fn run(
    mut sampler: Sampler,
    sender: Sender<Event>,
    events: &Receiver<Event>,
) -> anyhow::Result<()> {
    let mut model = Model::new(sampler.sample()?);
    let mut screen = Screen::open().context("cannot use the terminal")?;
    read_keys(sender).context("cannot read keys")?;
    loop {
        if is_closed(screen.draw(|frame| view::draw(frame, &model)))? {
            return Ok(());
        }
        let changed = match wait(&mut sampler, &mut model, events)? {
            Next::Draw => Ok(()),
            Next::Redraw => screen.clear(),
            Next::Suspend => screen.suspend(),
            Next::Retake => screen.retake(),
            Next::End => return Ok(()),
        };
        if is_closed(changed)? {
            return Ok(());
        }
        model.snapshot = sampler.sample()?;
    }
}

/// Returns `true` if the use of the terminal failed because it was closed.
fn is_closed(used: io::Result<()>) -> anyhow::Result<bool> {
    match used {
        Ok(()) => Ok(false),
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) || is_hung_up() => Ok(true),
        Err(error) => Err(error).context("cannot use the terminal"),
    }
}

/// Returns `true` if the terminal was closed. Its size is asked for in several ways, each of which fails with an
/// error of its own then.
fn is_hung_up() -> bool {
    let input = io::stdin();
    let mut polled = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
    let events = poll(&mut polled, PollTimeout::ZERO).ok().and_then(|_| polled[0].revents());
    events.is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// The screen is drawn, as far as it has changed.
    Draw,
    /// The whole screen is drawn.
    Redraw,
    /// The command stops until it is continued.
    Suspend,
    /// The terminal is set up and drawn again.
    Retake,
    /// The command ends.
    End,
}

/// Processes events until one of them, or the time, asks for more than changing the model.
fn wait(sampler: &mut Sampler, model: &mut Model, events: &Receiver<Event>) -> nix::Result<Next> {
    let next = Instant::now() + REFRESH;
    let mut left = REFRESH;
    loop {
        match events.recv_timeout(left) {
            Ok(Event::Log(entry)) => sampler.log(entry),
            Ok(Event::Key(key)) => match model.press(key) {
                Action::Show => {}
                // As the terminal would without raw mode: each process of the job stops, this one
                // when it has received its own signal.
                Action::Suspend => kill(Pid::from_raw(0), Signal::SIGTSTP)?,
                Action::End => return Ok(Next::End),
            },
            Ok(Event::Resized) => return Ok(Next::Redraw),
            Ok(Event::Continued) => return Ok(Next::Retake),
            Ok(Event::Suspend) => return Ok(Next::Suspend),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
            Err(RecvTimeoutError::Timeout) => return Ok(Next::Draw),
        }
        // Events in close succession are drawn together.
        left = DRAW_DELAY.min(next.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(Next::Draw);
        }
    }
}

/// Starts a thread that reports pressed keys, and the end of the terminal. Nothing else reads from the
/// terminal.
fn read_keys(sender: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("keys".into()).spawn(move || {
        // After any error of the terminal there are no more keys.
        for key in Patient(io::stdin()).keys().map_while(Result::ok) {
            let _ = sender.send(Event::Key(key));
        }
        let _ = sender.send(Event::End);
    })?;
    Ok(())
}

/// How often the screen is redrawn without events.
const REFRESH: Duration = Duration::from_secs(1);
/// How long to wait for further events after the first one.
const DRAW_DELAY: Duration = Duration::from_millis(20);
