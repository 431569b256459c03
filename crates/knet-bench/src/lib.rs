//! The measuring loop of `knet bench`, for anything that carries messages between two descriptors.
//!
//! Figures are comparable only if the same loop produced them. So the loop is a crate of its own, and
//! measures any pair of [`Endpoint`]s: an application's side of a host, with two datafds and a call that
//! sends. `knet bench` measures endpoints of kronosnet handles with it; this project's tests measure
//! endpoints of libknet and of bare sockets.
//!
//! - [`run()`] measures two endpoints in one process. [`send`] and [`receive`] measure endpoints in two
//!   processes, on one machine or two.
//! - [`idle()`] measures a handle without traffic, and [`create`] measures how long handles take to be
//!   created and dropped.
//! - [`Plan`] specifies what to measure, and can be parsed from a command line. [`Report`] contains the
//!   results.
//!
//! The sender never runs more than [`Plan::window`] messages ahead of the receiver, so no message is lost
//! unless something is broken. The crate creates no handles, links or network sockets.
//!
//! # Example
//! The cost of the loop itself, with the arguments of a command line:
//! ```
//! use clap::Parser;
//! use knet_bench::{DirectEndpoint, Plan};
//!
//! #[derive(Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     plan: Plan,
//! }
//!
//! let plan = Args::parse_from(["bench", "--count", "1000", "--size", "64"]).plan;
//! let (near, far) = DirectEndpoint::pair()?;
//! let report = knet_bench::run(&plan, "socket pair", &near, &far)?;
//! assert_eq!((report.messages, report.lost), (1000, 0));
//! knet_bench::print(&plan, &report)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod cost;
mod credits;
mod endpoint;
pub use endpoint::{DirectEndpoint, Endpoint, Lane};
mod error;
pub use error::BenchError;
mod greeting;
mod idle;
pub use idle::{IdleReport, idle};
mod latency;
mod lifecycle;
pub use lifecycle::{LifecycleReport, create};
mod numbered;
mod plan;
pub use plan::{Mode, Plan, PlanError, Policy, Via};
mod patience;
mod rendezvous;
mod report;
pub use report::{Latency, Report, print, render};
mod run;
pub use run::{receive, run, send};
mod throughput;

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
