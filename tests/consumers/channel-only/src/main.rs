//! A program that only needs channel numbers: it distributes the channels of a handle to services.

#![forbid(unsafe_code)]

use std::error::Error;

use knet_channel::{AllocateError, Channel, ChannelAllocator, ChannelMap, ChannelRequest};

fn main() -> Result<(), Box<dyn Error>> {
    let mut allocator = ChannelAllocator::new();
    let mut services = ChannelMap::new();

    let membership = allocator.allocate(ChannelRequest::Exact(Channel::new(0)?))?;
    services.insert(membership, "membership");
    for name in ["locks", "storage"] {
        services.insert(allocator.allocate(ChannelRequest::Any)?, name);
    }

    let listed: Vec<_> =
        services.iter().map(|(channel, name)| format!("{channel} {name}")).collect();
    assert_eq!(listed, ["0 membership", "1 locks", "2 storage"]);
    assert_eq!(
        allocator.allocate(ChannelRequest::Exact(membership)),
        Err(AllocateError::InUse(membership)),
        "a channel belongs to one service at most"
    );
    assert!(Channel::new(32).is_err(), "channels are numbered 0 to 31");

    println!("channel-only: {}", listed.join(", "));
    Ok(())
}
