//! libknet, as installed on this machine, for tests and benchmarks: what kronosnet has to get along
//! with, and to be measured against.
//!
//! [`libknet`] wraps its calls in safe ones. The program `libknet-peer` takes the arguments of `knet`,
//! so that either side of a pair can be swapped for the other. No crate that is published depends on
//! this one.

pub mod libknet;
