//! `knet bench`: how fast messages travel from one host to another, and what a handle costs.
//!
//! The measuring loop is in `knet-bench`, because it is also used for what kronosnet is compared with.
//! This folder contains the hosts that it measures.

pub(crate) mod args;
mod host;
mod idle_resources;

use std::io;

use knet_bench::{BenchError, Mode};
use kronosnet::{Handle, HostId};

use crate::bench::args::{BenchArgs, Role};
use crate::bench::host::BenchHost;
use crate::output;
use crate::process::exit::{Unreachable, Usage};

/// Measures, and writes the report to standard output.
///
/// # Errors
/// [`Usage`] if the arguments contradict each other;
/// [`Unreachable`] if the hosts cannot reach each other, or one of them is lost; an error
/// if a message is lost or the report cannot be written; any other failure.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    output::print(&measure(args)?)
}

/// Measures, and returns the report as text.
fn measure(args: &BenchArgs) -> anyhow::Result<String> {
    let plan = &args.plan;
    Ok(match (plan.mode, args.role) {
        (Mode::Create, None) => {
            let report = knet_bench::create(plan, SUBJECT, || {
                Handle::new(HostId::new(1)).map(drop).map_err(io::Error::other)
            })?;
            knet_bench::render(plan, &report)
        }
        (Mode::Create, Some(_)) => {
            return Err(Usage("--role: handles are created without a peer".to_owned()).into());
        }
        (Mode::Idle, role) => {
            let host = match role {
                Some(_) => BenchHost::connect(args)?,
                None => BenchHost::alone(plan)?,
            };
            let report = knet_bench::idle(plan, SUBJECT)?;
            // The host has to exist until it has been measured.
            drop(host);
            knet_bench::render(plan, &report)
        }
        (_, None) => {
            let (near, far) = BenchHost::pair(plan)?;
            knet_bench::render(plan, &knet_bench::run(plan, SUBJECT, &near, &far)?)
        }
        (_, Some(Role::Send)) => {
            let host = BenchHost::connect(args)?;
            let report = knet_bench::send(plan, SUBJECT, &host);
            knet_bench::render(plan, &report.map_err(|error| classify(error, host.peer()))?)
        }
        (_, Some(Role::Recv)) => {
            let host = BenchHost::connect(args)?;
            let report = knet_bench::receive(plan, SUBJECT, &host);
            knet_bench::render(plan, &report.map_err(|error| classify(error, host.peer()))?)
        }
    }?)
}

/// Names the other host, and turns contradicting plans into a usage error.
fn classify(error: BenchError, peer: HostId) -> anyhow::Error {
    match error {
        BenchError::PeerLost { received, expected } => {
            let text = format!("host {peer} was lost; {received} of {expected} messages received");
            Unreachable(text).into()
        }
        BenchError::NoAnswer { seconds } => {
            let text =
                format!("no answer from host {peer} for {seconds} s: does it run knet bench?");
            Unreachable(text).into()
        }
        BenchError::PlanDiffers { .. } | BenchError::SameRole { .. } => {
            Usage(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// The name of what is measured.
const SUBJECT: &str = concat!("kronosnet ", env!("CARGO_PKG_VERSION"));
