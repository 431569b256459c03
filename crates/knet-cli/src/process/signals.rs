//! Receives signals on a thread of their own.

use std::io;
use std::thread;

use signal_hook::iterator::Signals;

/// Calls `on_signal` on a separate thread whenever one of `signals` arrives. From now on these signals
/// no longer end the process.
///
/// # Errors
/// An error of the kernel if it refuses a handler or a thread.
pub(crate) fn watch(signals: &[i32], on_signal: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            on_signal();
        }
    })?;
    Ok(())
}
