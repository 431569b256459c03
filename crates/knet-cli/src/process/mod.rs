//! What the command exchanges with its surroundings: exit codes, signals, standard streams,
//! readiness of descriptors.

pub(crate) mod exit;
mod parse_error;
pub(crate) mod readiness;
pub(crate) mod signals;
pub(crate) mod stderr;
pub(crate) mod stdio;
