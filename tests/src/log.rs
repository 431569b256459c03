//! The log of this process, for tests that count its lines. Such a test must run alone.

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects what is logged from now on at the level of information or above, and forgets what was before.
pub fn start() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::INFO).with_ansi(false);
        subscriber.with_writer(Writer).init();
    });
    lines().clear();
}

/// Returns how many lines contain all of these texts.
#[must_use]
pub fn count(texts: &[&str]) -> usize {
    let lines = String::from_utf8_lossy(&lines()).into_owned();
    lines.lines().filter(|line| texts.iter().all(|text| line.contains(text))).count()
}

/// Returns all lines.
#[must_use]
pub fn all() -> String {
    String::from_utf8_lossy(&lines()).into_owned()
}

fn lines() -> MutexGuard<'static, Vec<u8>> {
    // A test that failed has reported that itself.
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lines().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
