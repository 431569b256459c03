//! A program that only needs channel numbers: it shares the channels of a handle out to services.

#![forbid(unsafe_code)]

use std::error::Error;

use knet_channel::{AllocateError, Channel, ChannelAllocator, ChannelMap, ChannelRequest};

fn main() -> Result<(), Box<dyn Error>> {
    let mut free = ChannelAllocator::new();
    let mut services = ChannelMap::new();

    let membership = free.allocate(ChannelRequest::Exact(Channel::new(0)?))?;
    services.insert(membership, "membership");
    for name in ["locks", "storage"] {
        services.insert(free.allocate(ChannelRequest::Any)?, name);
    }

    let listed: Vec<_> =
        services.iter().map(|(channel, name)| format!("{channel} {name}")).collect();
    assert_eq!(listed, ["0 membership", "1 locks", "2 storage"]);
    assert_eq!(
        free.allocate(ChannelRequest::Exact(membership)),
        Err(AllocateError::InUse(membership)),
        "a channel is never given to two services"
    );
    assert!(Channel::new(32).is_err(), "there are 32 channels, from 0");

    println!("channel-only: {}", listed.join(", "));
    Ok(())
}
