//! Receives signals on a thread of their own.

use std::io;
use std::thread;

use signal_hook::iterator::Signals;

/// Calls `on_signal` with its number on a separate thread when one of `signals` arrives. From now on
/// the first of these signals does not end the process. The second one does: the command may be
/// waiting for something that never happens.
///
/// # Errors
/// An error of the kernel if it refuses a handler or a thread.
pub(crate) fn watch_end(
    signals: &[i32],
    on_signal: impl Fn(i32) + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut arrived = signals.forever();
        if let Some(signal) = arrived.next() {
            on_signal(signal);
        }
        for signal in arrived {
            // Fails for unknown signals only.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// Calls `on_signal` on a separate thread whenever one of `signals` arrives.
///
/// # Errors
/// An error of the kernel if it refuses a handler or a thread.
pub(crate) fn watch(signals: &[i32], on_signal: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            on_signal(signal);
        }
    })?;
    Ok(())
}
