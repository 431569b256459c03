//! `libknet-peer bench`: measures libknet in the same way as `knet bench`.
//!
//! The measuring loop is the same, that of `knet-bench`. This folder contains the hosts that it measures.

mod host;

use std::io::{self, Write};

use anyhow::Context;
use knet_bench::{BenchError, Mode, Plan, Report};
use kronosnet::HostId;
use libknet_peer::libknet::{Handle, Library};

use crate::args::{BenchArgs, Role};
use crate::bench::host::BenchHost;
use crate::exit::Usage;

/// Measures, and writes the report to standard output.
///
/// # Errors
/// [`Usage`] if the arguments contradict each other or are supported only by `knet bench`;
/// [`Unreachable`](crate::exit::Unreachable); an error if a message is lost; any other failure.
pub(crate) fn run(library: &'static Library, args: &BenchArgs) -> anyhow::Result<()> {
    let plan = &args.plan;
    if plan.hosts > 1 || plan.channels > 2 || plan.busy_poll.is_some() {
        let text = "--hosts, --channels and --busy-poll are not supported with libknet";
        return Err(Usage(text.to_owned()).into());
    }
    let subject = format!("libknet {}", library.version());
    match (plan.mode, args.role) {
        (Mode::Create, _) => {
            let report = knet_bench::create(plan, &subject, || {
                Handle::new(library, HostId::new(1)).map(drop).map_err(io::Error::other)
            })?;
            knet_bench::print(plan, &report)
        }
        (Mode::Idle, role) => {
            let host = match role {
                Some(_) => BenchHost::connect(library, args)?,
                None => BenchHost::alone(library, plan)?,
            };
            let report = knet_bench::idle(plan, &subject)?;
            drop(host);
            knet_bench::print(plan, &report)
        }
        (_, None) => {
            let (near, far) = BenchHost::pair(library, plan)?;
            knet_bench::print(plan, &measured(plan, knet_bench::run(plan, &subject, &near, &far))?)
        }
        (_, Some(Role::Send)) => {
            let host = BenchHost::connect(library, args)?;
            knet_bench::print(plan, &measured(plan, knet_bench::send(plan, &subject, &host))?)
        }
        (_, Some(Role::Recv)) => {
            let host = BenchHost::connect(library, args)?;
            knet_bench::print(plan, &measured(plan, knet_bench::receive(plan, &subject, &host))?)
        }
    }
    .context("cannot write the report")
}

/// Passes a report on. If libknet lost messages instead, writes that to standard output for the program
/// that asked for JSON: it is a result of the measurement.
fn measured(plan: &Plan, outcome: Result<Report, BenchError>) -> anyhow::Result<Report> {
    match outcome {
        Err(error) if plan.json && error.is_loss() => {
            writeln!(io::stdout(), "{}", serde_json::json!({ "loss": error.to_string() }))?;
            Err(error.into())
        }
        outcome => Ok(outcome?),
    }
}
