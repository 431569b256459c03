//! Rule: a log event of the library names its handle and its subsystem.
//!
//! A process may have several handles. The macro `log!` of knet-handle adds both, so nothing else uses the
//! macros of tracing. A crate below knet-handle returns what it has to say.

use super::{Finding, TextFile};

/// The file with the macro.
const MACRO: &str = "crates/knet-handle/src/log.rs";

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let in_library = file.path.starts_with("crates/")
        && !file.path.starts_with("crates/knet-cli/")
        && file.path.contains("/src/");
    if !file.is_rust() || !in_library || file.path == MACRO {
        return Vec::new();
    }
    let logs = |code: &str| LEVELS.iter().any(|name| code.contains(name));
    file.code_lines()
        .filter(|&(_, code)| logs(code))
        .map(|(line, _)| Finding::new(file.path.as_str(), line, MESSAGE))
        .collect()
}

const LEVELS: &[&str] = &[
    "tracing::error",
    "tracing::warn",
    "tracing::info",
    "tracing::debug",
    "tracing::trace",
    "tracing::event",
];

const MESSAGE: &str = "this event names neither its handle nor its subsystem: use `log!` of knet-handle, or, \
                       in a crate below it, return what there is to say";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&TextFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn events_that_bypass_the_macro_are_found() {
        let text = "f();\ntracing::warn!(%error, \"x\");\nuse tracing::debug;";
        assert_eq!(lines("crates/knet-handle/src/rx/thread.rs", text), [2, 3]);
        assert_eq!(lines("crates/knet-transport/src/socket.rs", text), [2, 3]);
    }

    #[test]
    fn the_macro_its_uses_and_other_code_are_fine() {
        let text = "tracing::warn!(\"x\");";
        assert_eq!(lines(MACRO, text), [0; 0]);
        assert_eq!(lines("crates/knet-handle/tests/logging.rs", text), [0; 0]);
        let uses = "log!(warn, log, Rx, \"x\"); // tracing::warn!(\nuse tracing::field::Field;";
        assert_eq!(lines("crates/knet-handle/src/rx/thread.rs", uses), [0; 0]);
    }
}
