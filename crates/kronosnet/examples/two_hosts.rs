//! Two hosts in one process: messages written to the datafd of one come out of that of the other.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use kronosnet::{
    ChannelRequest, DatafdSource, EventStream, Handle, HostId, LinkConfig, LinkId, PingTimers,
};

fn main() -> Result<(), Box<dyn Error>> {
    let hosts = [Handle::new(HostId::new(1))?, Handle::new(HostId::new(2))?];
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let ends = [hosts[0].bind(any_port)?, hosts[1].bind(any_port)?];

    for (own, peer) in [(0, 1), (1, 0)] {
        let host = hosts[own].add_host(hosts[peer].host_id())?;
        let interval = Duration::from_millis(50);
        let config = LinkConfig {
            ping_timers: PingTimers { interval, ..PingTimers::default() },
            ..LinkConfig::udp(ends[own].addr(), ends[peer].addr())
        };
        host.add_link(LinkId::new(0)?, config)?.enable()?;
        hosts[own].set_forwarding(true)?;
    }

    let problems = [hosts[0].datafd_events(), hosts[1].datafd_events()];
    let from = hosts[0].add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    let to = hosts[1].add_datafd(DatafdSource::Create, ChannelRequest::Exact(from.channel()))?;

    for (own, peer) in [(0, 1), (1, 0)] {
        let host = hosts[own].host(hosts[peer].host_id())?;
        host.wait_until_reachable(Duration::from_secs(5))?;
        let link = host.link(LinkId::new(0)?)?;
        println!("host {} reaches host {}: {}", own + 1, host.id(), link.status()?.state);
    }

    from.send(b"hello, kronosnet")?;
    let mut buffer = [0; 64];
    let length = loop {
        match to.recv(&mut buffer) {
            Err(kronosnet::Error::WouldBlock(_)) => std::thread::yield_now(),
            received => break received?,
        }
    };
    println!("host 2 received: {}", String::from_utf8_lossy(&buffer[..length]));
    for problem in problems.iter().flat_map(EventStream::try_iter) {
        println!("problem: {}", problem.event.problem);
    }
    Ok(())
}
