//! The loop behind `knet bench`: measures whatever carries messages from one descriptor to another.
//!
//! Figures can only be compared if they were taken by the same loop. So the loop is here, and what it
//! measures is an [`End`]: an application's side of a host, with two datafds and a call that sends.
//! `knet bench` gives it ends of kronosnet handles, the tests' libknet peer those of libknet, and the
//! tests' floor those of bare sockets.
//!
//! - [`run()`] measures two ends in one process; [`send`] and [`receive`] measure ends in two processes,
//!   perhaps on two machines.
//! - [`idle()`] watches a handle that has nothing to do, and [`create`] makes handles and lets them go.
//! - [`Plan`] says what to do and is read from the command line; [`Report`] says how it went.
//!
//! What is sent never runs more than a window ahead of what was received, so nothing is lost unless
//! something is wrong. What it refuses to do: it makes no handles, links or sockets.

#![forbid(unsafe_code)]

mod cost;
mod end;
pub use end::{End, Lane};
mod error;
pub use error::BenchError;
mod idle;
pub use idle::{IdleReport, idle};
mod latency;
mod life;
pub use life::{LifeReport, create};
mod meeting;
mod messages;
mod plan;
pub use plan::{Mode, Plan, PlanError, Policy, Via};
mod report;
pub use report::{Latency, Report, print};
mod run;
pub use run::{receive, run, send};
mod throughput;
mod wait;
mod window;
