//! Messages for people on standard error.

use std::fmt;
use std::io::{self, Write};

/// Writes a line. Ignores a closed standard error.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "libknet-peer: {text}");
}
