//! One line for a person, on standard error.

use std::fmt;
use std::io::{self, Write};

/// Writes a line after the command's name. Nobody reading standard error is no reason to fail, which
/// `eprintln!` would do by panicking.
pub(crate) fn line(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "knet: {text}");
}
