//! `-v`: writes the library's log to standard error.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::process::exit::Usage;
use crate::process::stdio::Patient;

/// Enables logging with the filter in `RUST_LOG`, or at level `warn` without one. Colours are for
/// terminals only.
///
/// # Errors
/// [`Usage`] if `RUST_LOG` is not a filter.
pub(crate) fn log_to_stderr() -> Result<(), Usage> {
    let wanted = env::var_os(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = filter(&wanted.to_string_lossy())?;
    let colours =
        io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    // This fails only if a subscriber is already installed, and then that one logs.
    let _ = log.with_writer(|| Patient(io::stderr())).try_init();
    Ok(())
}

/// Parses the value of `RUST_LOG`.
fn filter(text: &str) -> Result<EnvFilter, Usage> {
    if text.trim().is_empty() {
        return Ok(EnvFilter::new("warn"));
    }
    let refuse = |why: &str| {
        Usage(format!(
            "RUST_LOG is '{text}': {why}: write a level (error, warn, info, debug, trace), or a target \
             and its level, such as knet::link=debug"
        ))
    };
    // Any word is the name of a target, so a mistyped level would silently log nothing.
    let is_word = |part: &&str| part.chars().all(|c| c.is_alphanumeric() || "_-: ".contains(c));
    let words = text.split(',').map(str::trim).filter(is_word);
    let mut unknown =
        words.filter(|word| word.parse::<LevelFilter>().is_err() && !word.starts_with("knet"));
    if let Some(word) = unknown.find(|word| !word.is_empty()) {
        return Err(refuse(&format!("'{word}' is no level and no part of knet")));
    }
    EnvFilter::try_new(text).map_err(|error| refuse(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_accepted_and_nonsense_is_not() {
        for right in [
            "",
            " ",
            "info",
            "TRACE",
            "off",
            "3",
            "knet::link",
            "knet::link=debug,warn",
            "other=info",
        ] {
            assert!(filter(right).is_ok(), "{right:?}");
        }
        for (wrong, named) in [
            ("debgu", "'debgu' is no level"),
            ("very verbose", "'very verbose' is no level"),
            ("info,debgu", "'debgu' is no level"),
            ("knet=loud", "RUST_LOG is 'knet=loud': "),
            ("knet::link=debug=info", "RUST_LOG is 'knet::link=debug=info': "),
            ("[", "RUST_LOG is '[': "),
        ] {
            let error = filter(wrong).expect_err(wrong).0;
            assert!(error.contains(named) && error.contains("write a level"), "{wrong}: {error}");
        }
    }
}
