//! The library and its version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::OpenError;
use super::symbols::Symbols;

/// The libknet of this machine. It stays open until the process ends: its threads and plug-ins
/// could not survive closing it.
#[derive(Debug)]
pub struct Library {
    pub(super) symbols: Symbols,
    file: PathBuf,
}

impl Library {
    /// Opens the library the first time, and returns it.
    ///
    /// # Errors
    /// [`OpenError`] if it is not installed.
    pub fn open() -> Result<&'static Self, OpenError> {
        if let Some(library) = OPENED.get() {
            return Ok(library);
        }
        let library = load()?;
        let symbols = Symbols::find(&library)?;
        // It is never closed, or the symbols would lead nowhere.
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

    /// Returns the release, such as `1.25`, as far as the name of the file reveals it. No call
    /// does.
    #[must_use]
    pub fn version(&self) -> &'static str {
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let known = RELEASES.iter().find(|(file, _)| *file == name);
        known.map_or("of an unknown release", |(_, release)| release)
    }
}

#[allow(unsafe_code)]
fn load() -> Result<libloading::Library, libloading::Error> {
    // SAFETY: libknet has no initialiser that depends on anything of ours, and it is never closed, so
    // that none of its terminators runs before the process ends.
    unsafe { libloading::Library::new("libknet.so.1") }
}

/// Returns the file behind the name `libknet.so.1`, with symbolic links followed.
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
