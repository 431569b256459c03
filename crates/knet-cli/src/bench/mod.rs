//! `knet bench`: how fast messages go from one host to another, and what a handle costs.
//!
//! The loop that measures is that of `knet-bench`, the same for everything that is compared with; here
//! are the hosts that it measures.

mod crowd;
mod host;

use std::io;

use anyhow::Context;
use knet_bench::{Mode, Plan, Policy};
use kronosnet::{Handle, HostId};

use crate::args::{BenchArgs, Role};
use crate::bench::host::BenchHost;
use crate::exit::Usage;

/// Measures, and writes the report to standard output.
///
/// # Errors
/// [`Usage`] if the arguments contradict each other;
/// [`Unreachable`](crate::exit::Unreachable) if the hosts do not find each other; if a message is lost
/// or anything fails.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let plan = &args.plan;
    match (plan.mode, args.role) {
        (Mode::Create, None) => {
            let report = knet_bench::create(plan, SUBJECT, || {
                Handle::new(HostId::new(1)).map(drop).map_err(io::Error::other)
            })?;
            knet_bench::print(plan, &report)
        }
        (Mode::Create, Some(_)) => {
            return Err(Usage("--role: handles are made without a peer".to_owned()).into());
        }
        (Mode::Idle, role) => {
            let host = match role {
                Some(_) => BenchHost::connect(args)?,
                None => BenchHost::alone(plan)?,
            };
            let report = knet_bench::idle(plan, SUBJECT)?;
            drop(host);
            knet_bench::print(plan, &report)
        }
        (_, None) => {
            let (near, far) = BenchHost::pair(plan)?;
            knet_bench::print(plan, &knet_bench::run(plan, SUBJECT, &near, &far)?)
        }
        (_, Some(Role::Send)) => {
            let host = BenchHost::connect(args)?;
            knet_bench::print(plan, &knet_bench::send(plan, SUBJECT, &host)?)
        }
        (_, Some(Role::Recv)) => {
            let host = BenchHost::connect(args)?;
            knet_bench::print(plan, &knet_bench::receive(plan, SUBJECT, &host)?)
        }
    }
    .context("cannot write the report")
}

/// The policy in kronosnet's terms.
fn policy(plan: &Plan) -> kronosnet::Policy {
    match plan.policy {
        Policy::Passive => kronosnet::Policy::Passive,
        Policy::Active => kronosnet::Policy::Active,
        Policy::RoundRobin => kronosnet::Policy::RoundRobin,
    }
}

/// What is measured.
const SUBJECT: &str = concat!("kronosnet ", env!("CARGO_PKG_VERSION"));
