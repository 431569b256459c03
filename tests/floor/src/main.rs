//! `knet-floor bench`: the floor under `knet bench`.
//!
//! A message takes the same four hops (application, socket pair, UDP over loopback, socket pair,
//! application) through as many threads, in batches and with the kernel's segmentation offload, but
//! without a protocol: no header, no sequence number, no checks, no timers. A program that does more
//! cannot be faster on the same machine at the same time.

#![forbid(unsafe_code)]

mod host;
mod pieces;
mod readiness;
mod rx;
mod tx;

use anyhow::ensure;
use clap::Parser;
use knet_bench::{Mode, Plan, Policy, Via};

use crate::host::FloorHost;

/// Measures the floor under knet bench.
#[derive(Debug, Parser)]
#[command(name = "knet-floor", max_term_width = 100)]
enum Args {
    /// Takes the plan of knet bench, and passes messages on with no protocol in between.
    Bench {
        #[command(flatten)]
        plan: Plan,
    },
}

fn main() -> anyhow::Result<()> {
    let Args::Bench { plan } = Args::parse();
    let is_supported = plan.links == 1 && plan.policy == Policy::Passive && plan.via == Via::Datafd;
    ensure!(is_supported, "the floor has one link, no policy and no call that sends");
    ensure!(plan.busy_poll.is_none(), "the floor's threads do not busy-poll");
    ensure!(matches!(plan.mode, Mode::Throughput | Mode::Latency), "the floor has no handle");
    let (near, far) = FloorHost::pair(plan.size)?;
    let report = knet_bench::run(&plan, "floor", &near, &far)?;
    Ok(knet_bench::print(&plan, &report)?)
}
