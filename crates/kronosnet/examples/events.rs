//! Waits for events of links, hosts and datafds at once. Host 2 becomes reachable and leaves.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use kronosnet::crossbeam_channel::{after, select};
use kronosnet::{
    ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId, Notification, PingTimers,
    Policy,
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
            let config = LinkConfig {
                ping_timers: timers,
                pong_count: 2,
                ..LinkConfig::udp(ends[own].addr(), ends[1 - own].addr())
            };
            handle.host(peer)?.add_link(id, config)?.enable()?;
        }
    }
    // The other end is closed, so that the datafd has an event to report.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    drop(theirs);
    one.add_datafd(DatafdSource::Fd(ours.as_fd()), ChannelRequest::Any)?;

    let mut two = Some(two);
    let deadline = after(Duration::from_secs(20));
    loop {
        select! {
            recv(links.ready()) -> _ => {
                for Notification { event, .. } in links.try_iter() {
                    println!("link {} to host {}: {}", event.link, event.host, event.state);
                }
            }
            recv(datafds.ready()) -> _ => {
                for Notification { event, .. } in datafds.try_iter() {
                    println!("datafd of channel {}: {}", event.channel, event.problem);
                }
            }
            recv(hosts.ready()) -> _ => {
                for Notification { event, .. } in hosts.try_iter() {
                    println!("host {} {}", event.host, if event.reachable { "is reachable" } else { "has left" });
                    if !event.reachable {
                        return Ok(());
                    }
                    // Dropping the last clone of its handle closes its sockets.
                    drop(two.take());
                }
            }
            recv(deadline) -> _ => return Err("host 2 did not become reachable and leave in time".into()),
        }
    }
}
