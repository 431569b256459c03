//! Reports tests that could not run here, so that they do not count as passed.
//!
//! The test harness hides the output of passing tests. Skips are therefore also appended to a file
//! that is named by an environment variable: `cargo xtask test` lists its lines, and in CI a single
//! line is a failure.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::{env, thread};

/// The environment variable that names the file to which skips are appended.
const SKIPS_FILE: &str = "KNET_SKIPS_FILE";

/// Reports that the calling test is skipped, with the reason: what the machine lacks, such as
/// `"needs root to make a TUN device"`. The test then returns.
///
/// # Panics
///
/// If the file cannot be written: an unreported skip would count as a success.
///
/// # Examples
///
/// ```no_run
/// # let tun = std::io::Result::<()>::Err(std::io::ErrorKind::PermissionDenied.into());
/// let Ok(tun) = tun else { return knet_tests::skip::skip("needs root to make a TUN device") };
/// ```
#[expect(clippy::print_stdout, reason = "shown when a single test is run by hand")]
pub fn skip(reason: &str) {
    let current = thread::current();
    let line = line(current.name(), reason);
    println!("SKIPPED: {line}");
    if let Some(file) = env::var_os(SKIPS_FILE) {
        let file = Path::new(&file);
        let written = append(file, &line);
        assert!(written.is_ok(), "failed to report a skip to {}: {written:?}", file.display());
    }
}

/// Returns the line to report. The harness names each thread after the test that it runs.
fn line(test: Option<&str>, reason: &str) -> String {
    let reason = reason.replace('\n', " ");
    match test {
        Some(test) => format!("{test}: {reason}"),
        None => reason,
    }
}

/// Appends the line in a single write, so that lines of concurrent tests do not mix.
fn append(file: &Path, line: &str) -> std::io::Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?
        .write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_that_names_the_test_and_the_reason() {
        assert_eq!(line(Some("tun::carries"), "no\ndevice"), "tun::carries: no device");
        assert_eq!(line(None, "no device"), "no device");
    }

    #[test]
    fn skips_of_many_threads_are_all_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skips.txt");
        thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for n in 0..50 {
                        append(file, &format!("test {thread}-{n}: no root")).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 8 * 50);
        assert!(lines.iter().all(|line| line.starts_with("test ") && line.ends_with(": no root")));
    }

    #[test]
    fn a_skip_that_cannot_be_reported_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(append(folder.path(), "a folder is no file").is_err());
    }
}
