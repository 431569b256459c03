//! Waits for links, hosts and datafds at once. Host 2 comes, and goes again.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use crossbeam_channel::{after, select};
use kronosnet::{
    ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId, PingTimers, Policy,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (one, two) = (Handle::new(HostId::new(1))?, Handle::new(HostId::new(2))?);
    let (links, hosts, datafds) = (one.link_events(), one.host_events(), one.datafd_events());

    let timers = PingTimers {
        interval: Duration::from_millis(50),
        timeout: PingTimers::MIN_TIMEOUT,
        ..PingTimers::default()
    };
    let peers = [(&one, two.host_id()), (&two, one.host_id())];
    for (handle, peer) in peers {
        handle.add_host(peer)?.set_policy(Policy::Active)?;
    }
    for id in [LinkId::new(0)?, LinkId::new(1)?] {
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let ends = [one.bind(any_port)?, two.bind(any_port)?];
        for (own, (handle, peer)) in peers.into_iter().enumerate() {
            let config = LinkConfig::udp(ends[own].addr(), ends[1 - own].addr());
            let link = handle.host(peer)?.add_link(id, config)?;
            link.set_ping_timers(timers)?;
            link.set_pong_count(2)?;
            link.enable()?;
        }
    }
    // Its other end is closed at once, to have something to tell.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    drop(theirs);
    one.add_datafd(DatafdSource::Fd(ours.as_fd()), ChannelRequest::Any)?;

    let mut two = Some(two);
    let patience = after(Duration::from_secs(20));
    loop {
        select! {
            recv(links) -> event => {
                let event = event?.event;
                println!("link {} to host {}: {}", event.link, event.host, event.state);
            }
            recv(datafds) -> event => {
                let event = event?.event;
                println!("datafd of channel {}: {}", event.channel, event.problem);
            }
            recv(hosts) -> event => {
                let event = event?.event;
                println!("host {} {}", event.host, if event.reachable { "is here" } else { "is gone" });
                if !event.reachable {
                    return Ok(());
                }
                // The last clone of its handle goes away, and with it its sockets.
                drop(two.take());
            }
            recv(patience) -> _ => return Err("host 2 did not come and go in time".into()),
        }
    }
}
