//! How messages leave: which links they take, how they are cut, and which number each of them
//! has. Senders use all of it without the engine and its lock.

mod fragment;
pub use fragment::{FragmentPlan, TooManyFragments};
mod routes;
pub(crate) use routes::RouteTable;
pub use routes::{HostRoute, LinkRoute, Routes};
mod sequence;
pub use sequence::{SequenceCounter, forced_ping_due};
