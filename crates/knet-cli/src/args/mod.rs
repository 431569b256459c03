//! Values that the arguments of several commands have in common: links, hosts, durations.

mod network;
mod peer_link;
mod remote;
mod values;

pub(crate) use peer_link::{PeerLink, links_by_host};
pub(crate) use remote::Remote;
pub(crate) use values::{host_id, seconds};
