//! Sending of messages: which links they take, how they are cut, which numbers they have and for
//! how long they may wait. All of it works without the engine and its lock.

mod fragment;
pub use fragment::{FragmentPlan, TooManyFragments};
mod packet_age;
pub use packet_age::{MAX_SEQUENCE_LAG, PacketAge};
mod renumber;
pub use renumber::{WaitingCopy, renumber};
mod route_table;
pub(crate) use route_table::RouteTable;
mod routes;
pub use routes::{HostRoute, LinkRoute, Routes};
mod sequence;
pub use sequence::{SequenceCounter, forced_ping_due};
