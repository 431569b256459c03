//! Messages for people on standard error, one line each.

use std::fmt;
use std::io::{self, Write};

use crate::process::stdio::Patient;

/// Writes a line, prefixed with the command's name. Ignores a closed standard error, which would make
/// `eprintln!` panic.
pub(crate) fn line(text: impl fmt::Display) {
    let _ = Patient(io::stderr()).write_all(format!("knet: {text}\n").as_bytes());
}
