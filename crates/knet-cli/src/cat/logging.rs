//! `-v`: writes the library's log to standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::process::stdio::Patient;

/// Enables logging with the filter in `RUST_LOG`, or at level `info` without one.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // This fails only if a subscriber is already installed, and then that one logs.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Patient(io::stderr()))
        .try_init();
}
