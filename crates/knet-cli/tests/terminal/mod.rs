//! Runs the real `knet` command on a pseudo-terminal, and reads its screen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use pty_process::Size;
use pty_process::blocking::{Command, Pts};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Long enough for a busy machine. No test waits for it to expire.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often to check whether the command has ended, in milliseconds.
const POLL_INTERVAL: u8 = 20;

/// A command on a terminal that controls its session, as an emulator starts a shell.
pub(crate) struct Terminal {
    child: Child,
    /// The user's end.
    user: File,
    /// The command's end. It stays open, so that its modes can be checked afterwards.
    command: Pts,
    emulator: vt100::Parser,
    deadline: Instant,
}

/// Starts `knet` on a terminal of this size.
pub(crate) fn start(args: &[&str], rows: u16, columns: u16) -> Terminal {
    start_below("", args, rows, columns)
}

/// Starts `knet` on a terminal of this size, which shows this text already.
pub(crate) fn start_below(text: &str, args: &[&str], rows: u16, columns: u16) -> Terminal {
    let (user, command) = pty_process::blocking::open().unwrap();
    user.resize(Size::new(rows, columns)).unwrap();
    let mut emulator = vt100::Parser::new(rows, columns, 0);
    emulator.process(text.as_bytes());
    let child = Command::new(env!("CARGO_BIN_EXE_knet"))
        .args(args)
        .env("TERM", "xterm-256color")
        .env_remove("RUST_LOG")
        .spawn_borrowed(&command)
        .unwrap();
    let user = File::from(OwnedFd::from(user));
    Terminal { child, user, command, emulator, deadline: Instant::now() + DEADLINE }
}

impl Terminal {
    /// Waits until the screen contains this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Waits until the screen satisfies a condition.
    pub(crate) fn wait_until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        while !is_so(&self.screen()) {
            assert!(Instant::now() < self.deadline, "not on the screen: {what}\n{}", self.screen());
            self.read_some();
        }
    }

    /// Returns the text of the screen.
    pub(crate) fn screen(&self) -> String {
        self.emulator.screen().contents()
    }

    /// Waits until the command uses the alternate screen and receives raw keys.
    pub(crate) fn wait_until_taken(&mut self) {
        while !self.emulator.screen().alternate_screen()
            || tcgetattr(&self.command).unwrap().local_modes.contains(LocalModes::ECHO)
        {
            assert!(Instant::now() < self.deadline, "it is not taken\n{}", self.screen());
            self.read_some();
        }
    }

    /// Checks that the terminal is in its original state.
    pub(crate) fn expect_restored(&self) {
        let modes = tcgetattr(&self.command).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        assert!(!self.emulator.screen().alternate_screen(), "the old screen is back");
        assert!(!self.emulator.screen().hide_cursor(), "the cursor is back");
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal show what another program writes to it, and cook its input.
    pub(crate) fn disturb(&mut self, text: &str) {
        self.emulator.process(text.as_bytes());
        let mut modes = tcgetattr(&self.command).unwrap();
        modes.local_modes.insert(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&self.command, OptionalActions::Now, &modes).unwrap();
    }

    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.user, size).unwrap();
        self.emulator.set_size(rows, columns);
    }

    /// Waits until the command has been stopped.
    pub(crate) fn wait_until_stopped(&mut self) {
        let child = self.pid();
        while waitpid(child, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)).unwrap()
            == WaitStatus::StillAlive
        {
            assert!(Instant::now() < self.deadline, "it does not stop\n{}", self.screen());
            self.read_some();
        }
        while self.read_some() {}
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until the command ends, and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                while self.read_some() {}
                return status.code();
            }
            assert!(Instant::now() < self.deadline, "the command does not end\n{}", self.screen());
            self.read_some();
        }
    }

    /// Closes the terminal and waits until the command ends.
    pub(crate) fn close(self) -> Option<i32> {
        let Self { mut child, user, command, deadline, .. } = self;
        drop((user, command));
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("the command does not end");
            }
            std::thread::yield_now();
        }
    }

    /// Passes what the command writes to the emulator. Returns `false` if it writes nothing within
    /// [`POLL_INTERVAL`].
    fn read_some(&mut self) -> bool {
        let mut fds = [PollFd::new(self.user.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(POLL_INTERVAL)).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 64 * 1024];
        let length = self.user.read(&mut bytes).unwrap();
        self.emulator.process(&bytes[..length]);
        true
    }
}
