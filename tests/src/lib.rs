//! Shared parts of the whole-system suites.

#![forbid(unsafe_code)]

pub mod cluster;
pub mod descriptors;
pub mod flow;
pub mod forge;
pub mod icmp;
pub mod lan;
pub mod log;
pub mod namespace;
pub mod network;
pub mod process;
pub mod relay;
pub mod skip;
pub mod tun;
pub mod wait;
pub mod wan;
