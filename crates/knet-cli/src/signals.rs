//! Hears of signals without being interrupted by them.

use std::io;
use std::thread;

use signal_hook::iterator::Signals;

/// Calls `tell` for each of these signals from now on, which no longer end the process by
/// themselves. Other threads go on meanwhile.
///
/// # Errors
/// If the kernel refuses a handler or a thread.
pub(crate) fn watch(signals: &[i32], tell: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            tell();
        }
    })?;
    Ok(())
}
