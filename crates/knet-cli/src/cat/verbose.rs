//! `-v`: what the library logs, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

/// Shows what is logged: what `RUST_LOG` names, or else whatever is of interest to an operator.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // It fails if there is a subscriber already, which is as well.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}
