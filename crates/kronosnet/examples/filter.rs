//! Three hosts and filters: unicast messages, and messages that are delivered on another channel than
//! they are sent on.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use kronosnet::{
    Channel, ChannelRequest, Datafd, DatafdSource, Direction, Handle, HostId, LinkConfig, LinkId,
    Notification, PingTimers, Verdict,
};

fn main() -> Result<(), Box<dyn Error>> {
    let handles = cluster(3)?;
    let (news, inbox) = (Channel::new(0)?, Channel::new(7)?);
    let mut datafds = Vec::new();
    for handle in &handles {
        handle.on_datafd_event(|_, Notification { event, .. }| eprintln!("{event:?}"));
        let channel = if datafds.is_empty() { news } else { inbox };
        datafds.push(handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(channel))?);
    }

    // Host 1: a message that starts with "@" and a digit is for that host, all others are for every host.
    handles[0].set_filter(move |message| {
        if message.direction() == Direction::Rx {
            return Verdict::Broadcast;
        }
        match message.payload() {
            [b'@', digit @ b'0'..=b'9', ..] => {
                let host = HostId::new(u16::from(digit - b'0'));
                message.add_destination(host);
                Verdict::Destinations
            }
            _ => Verdict::Broadcast,
        }
    })?;
    // The others deliver news to their inbox.
    for handle in &handles[1..] {
        handle.set_filter(move |message| {
            if message.direction() == Direction::Rx && message.channel() == i8::from(news) {
                message.set_channel(inbox);
            }
            Verdict::Broadcast
        })?;
    }

    let report = datafds[0].send(b"@3 for host 3")?;
    println!("sent to {} host", report.hosts);
    let report = datafds[0].send(b"for all hosts")?;
    println!("sent to {} hosts", report.hosts);
    for (host, messages) in [(1, 1), (2, 2)] {
        for _ in 0..messages {
            println!("host {}: {}", host + 1, receive(&datafds[host])?);
        }
    }
    Ok(())
}

fn receive(datafd: &Datafd) -> Result<String, Box<dyn Error>> {
    let mut buffer = [0; 64];
    loop {
        match datafd.recv(&mut buffer) {
            Err(kronosnet::Error::WouldBlock(_)) => std::thread::yield_now(),
            received => return Ok(String::from_utf8_lossy(&buffer[..received?]).into_owned()),
        }
    }
}

/// Creates hosts, and waits until all of them reach each other.
fn cluster(size: u16) -> Result<Vec<Handle>, Box<dyn Error>> {
    let handles: Vec<_> =
        (1..=size).map(|id| Handle::new(HostId::new(id))).collect::<Result<_, _>>()?;
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let ends: Vec<_> = handles.iter().map(|h| h.bind(any_port)).collect::<Result<_, _>>()?;
    for (own, handle) in handles.iter().enumerate() {
        for (peer, end) in ends.iter().enumerate().filter(|&(peer, _)| peer != own) {
            let host = handle.add_host(handles[peer].host_id())?;
            let interval = Duration::from_millis(50);
            let config = LinkConfig {
                ping_timers: PingTimers { interval, ..PingTimers::default() },
                ..LinkConfig::udp(ends[own].addr(), end.addr())
            };
            host.add_link(LinkId::new(0)?, config)?.enable()?;
        }
        handle.set_forwarding(true)?;
    }
    for handle in &handles {
        for host in handle.hosts() {
            handle.host(host)?.wait_until_reachable(Duration::from_secs(5))?;
        }
    }
    Ok(handles)
}
