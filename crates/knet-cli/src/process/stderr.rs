//! Messages for people on standard error, one line each.

use std::fmt;
use std::io::{self, Write};

/// Writes a line, prefixed with the command's name. Ignores a closed standard error, which would make
/// `eprintln!` panic.
pub(crate) fn line(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "knet: {text}");
}
