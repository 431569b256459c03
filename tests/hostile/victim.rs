//! The host under attack, its peer, and a third host that turns out to be hostile.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use knet_tests::cluster::{exactly, link_id, wait_until_reachable, wait_up};
use knet_tests::wait::{DEADLINE, next_message};
use kronosnet::{
    Datafd, DatafdEvent, DatafdSource, DropStats, EventStream, Handle, Host, HostId, LinkConfig,
    PingTimers,
};

use crate::attacker::Attacker;

/// Host 1, which is under attack, and host 2, which keeps sending to it. All packets arrive at one
/// socket.
pub(crate) struct Victim {
    pub(crate) handle: Handle,
    friend: Handle,
    addr: SocketAddr,
    inbox: Datafd,
    outbox: Datafd,
    sent: u64,
    _events: [EventStream<DatafdEvent>; 2],
}

/// Silence takes no link down: the test is about packets lost under attack.
const PATIENT: PingTimers = PingTimers {
    interval: Duration::from_millis(100),
    timeout: Duration::from_secs(3600),
    precision: 64,
};

impl Victim {
    pub(crate) fn new() -> Self {
        let [handle, friend] = [1, 2].map(|id| Handle::new(HostId::new(id)).unwrap());
        let events = [&handle, &friend].map(Handle::datafd_events);
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let [here, there] = [&handle, &friend].map(|handle| handle.bind(any).unwrap());
        let addr = here.addr();
        add_peer(&handle, 2, addr, there.addr());
        add_peer(&friend, 1, there.addr(), addr);
        for handle in [&handle, &friend] {
            // Path MTU probes are not under test.
            handle.set_manual_mtu(Some(1500)).unwrap();
            handle.set_forwarding(true).unwrap();
        }
        wait_until_reachable(&handle, &friend);
        let [inbox, outbox] = [&handle, &friend]
            .map(|handle| handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap());
        Self { handle, friend, addr, inbox, outbox, sent: 0, _events: events }
    }

    /// Returns the address that it listens on.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Adds host 3, the attacker, which behaves well until its link is up.
    pub(crate) fn trust(&self, attacker: &Attacker) -> Host {
        let host = add_peer(&self.handle, 3, self.addr, attacker.addr());
        attacker.answer_a_ping(3, self.addr);
        wait_up(&host.link(link_id(0)).unwrap());
        host
    }

    /// Sends a message from host 2.
    pub(crate) fn send_from_friend(&mut self) -> u64 {
        self.sent += 1;
        let report = self.outbox.send(&friendly(self.sent)).unwrap();
        assert_eq!(report.hosts, 1);
        self.sent
    }

    /// Sends a message from host 2, and waits for it. By then, everything that arrived before it
    /// has been handled.
    pub(crate) fn hear_from_friend(&mut self) {
        let number = self.send_from_friend();
        next_message(&self.inbox, |message| message == friendly(number));
    }

    /// Returns the messages of host 2 that have arrived and were not read yet.
    pub(crate) fn heard(&self) -> Vec<u64> {
        let mut buffer = vec![0; kronosnet::MAX_MESSAGE];
        let mut numbers = Vec::new();
        while let Ok(length) = self.inbox.recv(&mut buffer) {
            let number = buffer[..length].first_chunk().map(|number| u64::from_le_bytes(*number));
            let number = number.filter(|&number| buffer[..length] == friendly(number));
            numbers.push(number.expect("only host 2 sends whole messages"));
        }
        numbers
    }

    /// Returns what has been dropped so far.
    pub(crate) fn drops(&self) -> DropStats {
        self.handle.drop_stats()
    }

    /// Asserts that the link to host 2 is undisturbed, and that messages still pass both ways.
    pub(crate) fn is_well(&mut self) {
        self.hear_from_friend();
        self.inbox.send(b"and back").unwrap();
        next_message(&self.outbox, |message| message == b"and back");
        let link = self.handle.host(HostId::new(2)).unwrap().link(link_id(0)).unwrap();
        let stats = link.status().unwrap().stats;
        assert_eq!((stats.up_count, stats.down_count), (1, 0));
        self.friend.host(HostId::new(1)).unwrap().wait_until_reachable(DEADLINE).unwrap();
    }
}

fn add_peer(handle: &Handle, peer: u16, local: SocketAddr, remote: SocketAddr) -> Host {
    let host = handle.add_host(HostId::new(peer)).unwrap();
    let link = host.add_link(link_id(0), LinkConfig::udp(local, remote)).unwrap();
    link.set_ping_timers(PATIENT).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    host
}

/// Returns a message of host 2: its number, padded to three fragments.
fn friendly(number: u64) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.resize(3000, number as u8);
    message
}
