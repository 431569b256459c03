//! Private networks, in which no address and no name is taken and no other test is disturbed.

use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::skip::skip;

/// Runs a test on a thread that has a network of its own, with its loopback interface up. `set_up`
/// makes what the test needs, or returns what this machine lacks; then the test is skipped.
///
/// # Panics
/// If the test does.
pub fn in_own_network<T>(
    set_up: impl FnOnce() -> Result<T, String> + Send + 'static,
    test: impl FnOnce(T) + Send + 'static,
) {
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| format!("needs a network of its own: {errno}"))?;
        ip("link set lo up")?;
        set_up().map(test)
    };
    match thread::spawn(run).join() {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => skip(&reason),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs `ip` with these arguments, separated by single spaces.
///
/// # Errors
/// What this machine lacks for it.
pub fn ip(arguments: &str) -> Result<(), String> {
    run(Command::new("ip").args(arguments.split(' ')))
}

/// Runs a program that needs the permission to set up networks.
///
/// # Errors
/// What this machine lacks for it.
pub fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| format!("needs the program {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("needs permission to set up networks: {program}: {reason}"))
}
