//! Values that the arguments of several commands have in common: links, hosts, durations.

mod local_address;
mod network;
mod peer_link;
mod remote;
mod values;

pub(crate) use local_address::require_local;
pub(crate) use peer_link::{PeerLink, links_by_host};
pub(crate) use remote::Remote;
pub(crate) use values::{host_id, number, seconds};
