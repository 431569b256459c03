//! Opens the library, and determines its release.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::OpenError;
use super::symbols::Symbols;

/// The libknet of this machine. It stays open until the process ends, because its threads and plug-ins
/// may still be running.
#[derive(Debug)]
pub struct Library {
    pub(super) symbols: Symbols,
    file: PathBuf,
}

impl Library {
    /// Opens the library. Later calls return the same one.
    ///
    /// # Errors
    /// [`OpenError`] if it is not installed.
    pub fn open() -> Result<&'static Self, OpenError> {
        if let Some(library) = OPENED.get() {
            return Ok(library);
        }
        let library = load()?;
        let symbols = Symbols::find(&library)?;
        // Closing the library would make the symbols invalid.
        std::mem::forget(library);
        let maps = fs::read_to_string("/proc/self/maps").map_err(OpenError::Version)?;
        let file = mapped_file(&maps).ok_or_else(|| OpenError::Version(NOT_MAPPED.into()))?;
        Ok(OPENED.get_or_init(|| Self { symbols, file }))
    }

    /// Returns the file that was opened.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the release, such as `1.25`, derived from the file name: libknet has no function for it.
    #[must_use]
    pub fn version(&self) -> &'static str {
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let known = RELEASES.iter().find(|(file, _)| *file == name);
        known.map_or("of an unknown release", |(_, release)| release)
    }
}

#[allow(unsafe_code)]
fn load() -> Result<libloading::Library, libloading::Error> {
    // SAFETY: libknet's initializers do not depend on this program. Its terminators do not run before the
    // process ends, because the library is never closed.
    unsafe { libloading::Library::new("libknet.so.1") }
}

/// Returns the file that `libknet.so.1` resolves to, after following symbolic links.
fn mapped_file(maps: &str) -> Option<PathBuf> {
    let path = maps.lines().find_map(|line| {
        let path = line.get(line.find('/')?..)?;
        Path::new(path).file_name()?.to_str()?.starts_with("libknet.so.1").then_some(path)
    });
    path.map(PathBuf::from)
}

static OPENED: OnceLock<Library> = OnceLock::new();
const NOT_MAPPED: std::io::ErrorKind = std::io::ErrorKind::NotFound;
/// The file name of each release (`docs/porting.md`, "The C library").
const RELEASES: &[(&str, &str)] = &[("libknet.so.1.4.0", "1.25"), ("libknet.so.1.6.0", "1.35")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_among_the_mapped_ones() {
        let maps = "\
55d0-55d1 r--p 00000000 fe:01 1 /usr/bin/libknet-peer
7f00-7f01 r--p 00000000 fe:01 2                          [heap]
7f02-7f03 r--p 00000000 fe:01 3                          /usr/lib/x86_64-linux-gnu/libknet.so.1.4.0
7f04-7f05 r--p 00000000 00:00 0
";
        let file = mapped_file(maps).unwrap();
        assert_eq!(file, Path::new("/usr/lib/x86_64-linux-gnu/libknet.so.1.4.0"));
        assert_eq!(mapped_file("7f00-7f01 r--p 0 fe:01 1 /usr/lib/libc.so.6"), None);
    }
}
