//! `knet bench`: how fast messages go from one host to another.
//!
//! The loop that measures is that of `knet-bench`, the same for everything that is compared with; here
//! are the hosts that it measures.

mod host;

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;
use knet_bench::{Plan, Policy, Report};

use crate::args::{BenchArgs, Role};
use crate::bench::host::BenchHost;

/// Measures, and writes the report to standard output.
///
/// # Errors
/// [`Unreachable`](crate::exit::Unreachable) if the hosts do not find each other; if a message is
/// lost or anything fails.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let plan = &args.plan;
    let report = match args.role {
        None => {
            let (near, far) = BenchHost::pair(plan)?;
            knet_bench::run(plan, SUBJECT, &near, &far)?
        }
        Some(role) => {
            let host = BenchHost::connect(args)?;
            match role {
                Role::Send => knet_bench::send(plan, SUBJECT, &host)?,
                Role::Recv => knet_bench::receive(plan, SUBJECT, &host)?,
            }
        }
    };
    show(plan, &report).context("cannot write the report")
}

fn show(plan: &Plan, report: &Report) -> anyhow::Result<()> {
    let line: &dyn Display = if plan.json { &report.to_json()? } else { report };
    writeln!(io::stdout(), "{line}")?;
    Ok(())
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
