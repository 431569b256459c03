//! Messages for people on standard error, one line each.

use std::fmt;
use std::io::{self, Write};

use crate::process::stdio::Patient;

/// Writes a line, prefixed with the command's name. Ignores a closed standard error, which would make
/// `eprintln!` panic.
pub(crate) fn line(text: impl fmt::Display) {
    let line = format!("knet: {}\n", printable(&text.to_string()));
    let _ = Patient(io::stderr()).write_all(line.as_bytes());
}

/// Returns `text` as one line that a terminal shows as it is. It may quote an argument or a file name
/// with any characters.
fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => line.push(' '),
            _ if character.is_control() => line.extend(character.escape_debug()),
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_codes_for_the_terminal() {
        assert_eq!(printable("no such\nfile"), "no such file");
        assert_eq!(printable("'\x1b[31mrot\t\u{9b}'"), r"'\u{1b}[31mrot\t\u{9b}'");
        assert_eq!(printable("Größe"), "Größe");
    }
}
