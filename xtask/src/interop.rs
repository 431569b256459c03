//! `cargo xtask interop`: does it interoperate with libknet?

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{libknet, test};

/// How many cases run at once. They spend their time waiting for pings.
const THREADS: &str = "8";

/// Runs the packets that were captured from libknet through the codec, then the suite `interop` of
/// `tests/` against the installed libknet. A case that cannot run is a failure: untested cases are
/// not known to work.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    libknet::prepare(workspace)?;
    let suite = "--package knet-tests --features interop --test interop -- --test-threads";
    let mut arguments: Vec<String> = suite.split(' ').map(str::to_owned).collect();
    arguments.push(THREADS.to_owned());
    let vectors = ["--package", "knet-wire", "--test", "vectors"].map(str::to_owned).to_vec();
    test::run_selections(workspace, vec![vectors, arguments], true)
}
