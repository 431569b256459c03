//! The libknet of this machine, for tests of interoperability and for benchmarks.
//!
//! [`libknet`] wraps its calls in safe ones. The program `libknet-peer` takes the arguments of
//! `knet`, so that either side of a pair can be replaced by it. No crate that is published depends
//! on this one.

pub mod libknet;
