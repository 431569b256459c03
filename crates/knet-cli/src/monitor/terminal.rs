//! The terminal while the command uses it.

use std::io::{self, BufWriter};
use std::mem::ManuallyDrop;
use std::panic;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;

use crate::process::stdio::Patient;

/// The full screen. The terminal is restored on drop, and before a panic is reported.
pub(crate) struct Screen {
    /// The destructor of `Terminal` would write an error to a terminal that is gone, and panic because
    /// that fails.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Output>>>,
}

type Output = BufWriter<Patient<io::Stdout>>;

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// An error if the terminal cannot be used.
    pub(crate) fn open() -> io::Result<Self> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            report(info);
        }));
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(output()));
        terminal
            .map(|terminal| Self { terminal: ManuallyDrop::new(terminal) })
            .inspect_err(|_| leave())
    }

    /// Draws a frame.
    ///
    /// # Errors
    /// An error of the terminal.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Makes the next frame a complete one, whatever the terminal shows now.
    ///
    /// # Errors
    /// An error of the terminal.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Takes the terminal again after others used it, who may have changed its modes.
    ///
    /// # Errors
    /// An error of the terminal.
    pub(crate) fn retake(&mut self) -> io::Result<()> {
        // Setting modes that are set already does nothing.
        disable_raw_mode()?;
        enter()?;
        self.clear()
    }

    /// Gives the terminal back, stops the process until SIGCONT, and takes the terminal again.
    ///
    /// # Errors
    /// An error of the terminal.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        leave();
        emulate_default_handler(SIGTSTP)?;
        enter()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn output() -> Output {
    BufWriter::with_capacity(BUFFER, Patient(io::stdout()))
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(output(), EnterAlternateScreen)
}

/// Restores the terminal, which fails if it is gone and is not needed then. A terminal without an
/// alternate screen is cleared.
fn leave() {
    let _ = execute!(output(), Clear(ClearType::All), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// A whole frame of a large terminal leaves with one write.
const BUFFER: usize = 64 * 1024;

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
