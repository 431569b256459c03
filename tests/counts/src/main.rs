//! Sends messages one at a time, to be counted: `knet-counts WORK COUNT`.
//!
//! `cargo xtask bench --check` runs it under callgrind with two counts. The difference in instructions,
//! divided by the difference of the counts, is the number of instructions of a message on its whole path, from
//! the application through knet-tx (or `Handle::send`), the engine and knet-rx to the application. Each message
//! is sent when the previous one has arrived, so that all threads do the same work per message.

#![forbid(unsafe_code)]

mod messages;

use std::env;

use anyhow::{Context, Result, bail};

use crate::messages::Messages;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [work, count] = arguments.as_slice() else {
        bail!("usage: knet-counts WORK COUNT");
    };
    let count: u64 = count.parse().context("COUNT has to be a number")?;
    let messages = |size, mtu, through_datafd| Messages { size, mtu, through_datafd };
    match work.as_str() {
        "datafd" => messages(64, None, true).exchange(count),
        "send" => messages(1024, None, false).exchange(count),
        "fragments" => messages(65_536, Some(1500), true).exchange(count),
        other => bail!("unknown work {other}"),
    }
}
