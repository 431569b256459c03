//! The full screen, updated until the user ends it.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use ratatui::crossterm::event::Event as TerminalEvent;

use crate::monitor::event::Event;
use crate::monitor::model::Model;
use crate::monitor::sampler::Sampler;
use crate::monitor::view;
use crate::process::readiness;

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
        match screen.terminal.draw(|frame| view::draw(frame, &model)) {
            // The terminal was closed.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => return Ok(()),
            drawn => drawn.context("cannot draw")?,
        };
        if !wait(&mut sampler, &mut model, events) {
            return Ok(());
        }
        model.snapshot = sampler.sample()?;
    }
}

/// Processes events until the screen has to be redrawn. Returns `false` if one ends the command.
fn wait(sampler: &mut Sampler, model: &mut Model, events: &Receiver<Event>) -> bool {
    let next = Instant::now() + REFRESH;
    let mut left = REFRESH;
    loop {
        match events.recv_timeout(left) {
            Ok(Event::Log(entry)) => sampler.log(entry),
            Ok(Event::Key(key)) if model.press(key) => {}
            Ok(Event::Resized) | Err(RecvTimeoutError::Timeout) => return true,
            Ok(Event::Key(_) | Event::End) | Err(RecvTimeoutError::Disconnected) => return false,
        }
        // Events in close succession are drawn together.
        left = DRAW_DELAY.min(next.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return true;
        }
    }
}

/// The terminal while the command uses it. It is restored on drop, and before a panic is reported.
struct Screen {
    /// The destructor of `DefaultTerminal` would write an error to a terminal that is gone, and panic
    /// because that fails.
    terminal: ManuallyDrop<DefaultTerminal>,
}

impl Screen {
    fn open() -> io::Result<Self> {
        Ok(Self { terminal: ManuallyDrop::new(ratatui::try_init()?) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Restoring fails if the terminal is gone, and is not needed then.
        let _ = ratatui::try_restore();
        let _ = self.terminal.show_cursor();
    }
}

/// Starts a thread that reports pressed keys, and the end of the terminal.
fn read_keys(sender: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("keys".into()).spawn(move || {
        // After any error of the terminal there are no more keys.
        let _ = keys_until_closed(&sender);
        let _ = sender.send(Event::End);
    })?;
    Ok(())
}

fn keys_until_closed(sender: &Sender<Event>) -> io::Result<()> {
    let stdin = io::stdin();
    loop {
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        readiness::wait(&mut fds, None)?;
        // crossterm would read endlessly from a terminal that was closed.
        if fds[0].revents().is_none_or(|events| events != PollFlags::POLLIN) {
            return Ok(());
        }
        while event::poll(Duration::ZERO)? {
            if let TerminalEvent::Key(key) = event::read()? {
                let _ = sender.send(Event::Key(key));
            }
        }
    }
}

/// How often the screen is redrawn without events.
const REFRESH: Duration = Duration::from_secs(1);
/// How long to wait for further events after the first one.
const DRAW_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    /// Set in the process that panics.
    const PANIC: &str = "KNET_TEST_PANIC_ON_THE_SCREEN";

    /// Runs itself again on a terminal, to panic there.
    #[test]
    fn a_panic_restores_the_terminal_first() {
        if std::env::var_os(PANIC).is_some() {
            let _screen = Screen::open().unwrap();
            panic!("a panic as an example");
        }
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let test = concat!(module_path!(), "::a_panic_restores_the_terminal_first");
        let test = test.strip_prefix("knet::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", test])
            .env(PANIC, "1")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();

        let mut seen = String::new();
        let mut person = File::from(person);
        while !seen.contains("1 failed") {
            let mut bytes = [0; 4096];
            let length = person.read(&mut bytes).unwrap();
            seen += &String::from_utf8_lossy(&bytes[..length]);
        }
        child.wait().unwrap();
        let position = |text: &str| seen.find(text).unwrap_or_else(|| panic!("{text:?}: {seen}"));
        let (entered, left) = (position("\x1b[?1049h"), position("\x1b[?1049l"));
        assert!(entered < left && left < position("a panic as an example"), "{seen}");
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON));
    }
}
