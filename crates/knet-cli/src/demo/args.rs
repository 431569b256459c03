//! The arguments of `knet demo`.

use std::path::PathBuf;

/// Streams a file between two hosts in this process while one of their two links fails.
///
/// The hosts are connected by two links over loopback. The file is sent from host 1 to host 2 on
/// channel 0, acknowledgements are returned on channel 1. Half-way through, the preferred link
/// fails; later it is restored.
///
/// Exit codes: 0 the file arrived unchanged and the link came back, 1 failure, 2 wrong arguments,
/// 128 + N ended by signal N.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The regular file to stream; by default the knet command itself.
    pub(crate) file: Option<PathBuf>,
}
