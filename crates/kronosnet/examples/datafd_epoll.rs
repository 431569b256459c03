//! An application with its own event loop: it polls its datafds with epoll, reads messages and writes
//! replies, without calling the handle.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use knet_fd::{Received, Sent};
use knet_poller::{Events, Interest, Poller, Token};
use kronosnet::{
    ChannelRequest, Datafd, DatafdSource, Handle, HostId, LinkConfig, LinkId, Notification,
    PingTimers,
};

const ROUNDS: u32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let (handles, datafds) = cluster()?;
    let poller = Poller::new()?;
    for (host, datafd) in datafds.iter().enumerate() {
        poller.add(datafd, Token(host as u64), Interest::READ)?;
    }

    // A number travels back and forth, and each host adds one.
    put(&datafds[0], 0)?;
    let mut events = Events::with_capacity(2);
    let mut number = 0;
    while number < ROUNDS {
        if poller.wait(&mut events, Some(Duration::from_secs(5)))? == 0 {
            return Err("no message for five seconds".into());
        }
        for event in events.iter() {
            let datafd = &datafds[usize::try_from(event.token.0)?];
            let mut buffer = [0; 4];
            // Non-blocking: read until no message is left.
            while let Received::Message { len: 4, .. } = knet_fd::receive(datafd, &mut buffer)? {
                number = u32::from_be_bytes(buffer) + 1;
                put(datafd, number)?;
            }
        }
    }
    println!("the number was sent {number} times");
    for handle in &handles {
        let stats = handle.channel_stats(datafds[0].channel());
        println!(
            "{}: {} sent, {} received",
            handle.host_id(),
            stats.tx_messages,
            stats.rx_messages
        );
    }
    Ok(())
}

/// Writes a number. There is room for it: only one is in flight.
fn put(datafd: &Datafd, number: u32) -> Result<(), Box<dyn Error>> {
    match knet_fd::send(datafd, &number.to_be_bytes())? {
        Sent::Sent { .. } => Ok(()),
        Sent::WouldBlock => Err("the datafd is full".into()),
    }
}

/// Creates two hosts with a link and a datafd each.
fn cluster() -> Result<(Vec<Handle>, Vec<Datafd>), Box<dyn Error>> {
    let handles = vec![Handle::new(HostId::new(1))?, Handle::new(HostId::new(2))?];
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let ends = [handles[0].bind(any_port)?, handles[1].bind(any_port)?];
    let mut datafds = Vec::new();
    for (own, peer) in [(0, 1), (1, 0)] {
        let host = handles[own].add_host(handles[peer].host_id())?;
        let interval = Duration::from_millis(50);
        let config = LinkConfig {
            ping_timers: PingTimers { interval, ..PingTimers::default() },
            ..LinkConfig::udp(ends[own].addr(), ends[peer].addr())
        };
        host.add_link(LinkId::new(0)?, config)?.enable()?;
        handles[own].set_forwarding(true)?;
        handles[own].on_datafd_event(|_, Notification { event, .. }| eprintln!("{event:?}"));
        datafds.push(handles[own].add_datafd(DatafdSource::Create, ChannelRequest::Any)?);
    }
    for (own, peer) in [(0, 1), (1, 0)] {
        handles[own].host(handles[peer].host_id())?.wait_until_reachable(Duration::from_secs(5))?;
    }
    Ok((handles, datafds))
}
