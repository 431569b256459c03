//! The libknet of this machine, for tests of interoperability and for benchmarks.
//!
//! [`libknet`] is a safe interface to it. The program `libknet-peer` takes the arguments of `knet`, so that
//! either end of a link can be replaced by the other implementation. No published crate depends on this
//! one.

pub mod libknet;
