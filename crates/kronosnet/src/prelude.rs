//! The names that most programs need, for `use kronosnet::prelude::*`.
//!
//! # Examples
//!
//! ```
//! use kronosnet::prelude::*;
//!
//! # fn main() -> Result<(), kronosnet::Error> {
//! let handle = Handle::new(HostId::new(1))?;
//! let host = handle.add_host(HostId::new(2))?;
//! let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
//! host.add_link(LinkId::new(0)?, LinkConfig::udp(local, remote))?;
//! assert_eq!(host.policy()?, Policy::Passive);
//! # Ok(())
//! # }
//! ```

#[doc(no_inline)]
pub use knet_handle::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, EventStream, FilterMessage, Handle,
    HandleConfig, Host, HostId, Link, LinkConfig, LinkId, Notification, PingTimers, Policy,
    SendReport, Verdict,
};
