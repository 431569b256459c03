//! The loop behind `knet bench`: measures whatever carries messages from one descriptor to another.
//!
//! Figures can only be compared if they were taken by the same loop. So the loop is here, and what it
//! measures is an [`Endpoint`]: an application's side of a host, with two datafds and a call that sends.
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
//!
//! ```
//! use std::io;
//! use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
//!
//! use clap::Parser;
//! use knet_bench::{Endpoint, Lane, Plan};
//! use knet_fd::{PairType, SocketPair};
//!
//! /// An end with nothing between it and the other: what the loop itself costs.
//! struct Direct {
//!     data: OwnedFd,
//!     credits: OwnedFd,
//! }
//!
//! impl Endpoint for Direct {
//!     fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
//!         match lane {
//!             Lane::Data => self.data.as_fd(),
//!             Lane::Credits => self.credits.as_fd(),
//!         }
//!     }
//!
//!     fn send(&self, _message: &[u8]) -> io::Result<()> {
//!         Err(io::ErrorKind::Unsupported.into())
//!     }
//! }
//!
//! #[derive(Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     plan: Plan,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = SocketPair::new(PairType::SeqPacket, 1 << 20)?;
//! let credits = SocketPair::new(PairType::SeqPacket, 1 << 20)?;
//! let near = Direct { data: data.left, credits: credits.left };
//! let far = Direct { data: data.right, credits: credits.right };
//!
//! let plan = Args::parse_from(["bench", "--count", "1000", "--size", "64"]).plan;
//! let report = knet_bench::run(&plan, "a socket pair", &near, &far)?;
//! assert_eq!((report.messages, report.lost), (1000, 0));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod cost;
mod endpoint;
pub use endpoint::{Endpoint, Lane};
mod error;
pub use error::BenchError;
mod idle;
pub use idle::{IdleReport, idle};
mod latency;
mod lifecycle;
pub use lifecycle::{LifecycleReport, create};
mod numbered;
mod plan;
mod rendezvous;
pub use plan::{Mode, Plan, PlanError, Policy, Via};
mod report;
pub use report::{Latency, Report, print};
mod run;
pub use run::{receive, run, send};
mod credits;
mod readiness;
mod throughput;
