//! How messages leave: which links they take, how they are cut, and which number each of them
//! has. Senders use all of it without the engine and its lock.

mod fragment;
pub use fragment::{FragmentPlan, TooManyFragments};
mod packet_age;
pub use packet_age::{MAX_SEQUENCE_LAG, PacketAge};
mod renumber;
pub use renumber::{WaitingCopy, renumber};
mod routes;
pub(crate) use routes::RouteTable;
pub use routes::{HostRoute, LinkRoute, Routes};
mod sequence;
pub use sequence::{SequenceCounter, forced_ping_due};
