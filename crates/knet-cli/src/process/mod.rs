//! What the command exchanges with its surroundings: exit codes, signals, standard error, readiness
//! of descriptors.

pub(crate) mod exit;
pub(crate) mod readiness;
pub(crate) mod signals;
pub(crate) mod stderr;
