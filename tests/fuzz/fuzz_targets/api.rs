//! Calls of the handle in any order, on two handles with real sockets and threads, over the
//! loopback interface: none panics or hangs, and dropping the handles closes all their descriptors.
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use kronosnet::{
    AclAction, AclEntry, Channel, ChannelRequest, ClearStats, Datafd, DatafdSource, Dscp, Handle,
    HostId, LinkConfig, LinkId, LocalSocket, Notification, PingTimers, Policy, QosMarking, Verdict,
};

/// A call. Numbers are taken modulo the number of existing items, sometimes plus one.
#[derive(Arbitrary, Debug)]
enum Call {
    AddHost {
        host: u8,
    },
    RemoveHost {
        host: u8,
    },
    SetName {
        host: u8,
        name: u8,
    },
    SetPolicy {
        host: u8,
        policy: u8,
    },
    /// A static link, to the address of the other handle's static or dynamic links, or to nowhere.
    AddLink {
        host: u8,
        link: u8,
        to: u8,
    },
    ClearLink {
        host: u8,
        link: u8,
    },
    Enable {
        host: u8,
        link: u8,
        on: bool,
    },
    SetTimers {
        host: u8,
        link: u8,
        interval_ms: u16,
        timeout_ms: u16,
        precision: u8,
    },
    SetPongCount {
        host: u8,
        link: u8,
        count: u8,
    },
    SetPriority {
        host: u8,
        link: u8,
        priority: u8,
    },
    CreateDatafd {
        channel: Option<u8>,
    },
    BringDatafd {
        channel: Option<u8>,
    },
    CloseFarEnd,
    RemoveDatafd {
        nth: u8,
    },
    DropDatafd {
        nth: u8,
    },
    Send {
        channel: u8,
        length: u16,
    },
    SendSync {
        channel: u8,
        length: u16,
    },
    Receive {
        channel: u8,
    },
    Forwarding {
        on: bool,
    },
    Filter {
        kind: u8,
    },
    Mtu {
        mtu: Option<u16>,
    },
    MtuInterval {
        seconds: u32,
    },
    WaitReachable {
        host: u8,
    },
    Subscribe {
        kind: u8,
    },
    Clear {
        links: bool,
    },
    Read,
    /// Subsequent calls go to the other handle.
    Switch,
    Mark {
        host: u8,
        link: u8,
        priority: bool,
        dscp: Option<u8>,
        own: bool,
    },
    MarkAll {
        priority: bool,
        dscp: Option<u8>,
    },
    /// A clone does not keep the handle from working.
    Clone,
    /// A dynamic link, on a socket of its own or, which is an error, on that of the static ones.
    AddDynamic {
        host: u8,
        link: u8,
        shared: bool,
    },
    AddLoopback {
        host: u8,
        link: u8,
    },
    AddEntry {
        host: u8,
        link: u8,
        index: Option<u8>,
        entry: Entry,
    },
    RemoveEntry {
        host: u8,
        link: u8,
        entry: Entry,
    },
    ClearList {
        host: u8,
        link: u8,
    },
    AccessLists {
        on: bool,
    },
}

/// An entry of an access list that matches the other handle's address, or does not.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Entry {
    accept: bool,
    kind: u8,
    elsewhere: bool,
    ipv6: bool,
}

/// Calls until the input ends. A vector would end at every second byte that follows a call.
#[derive(Debug)]
struct Calls(Vec<Call>);

impl<'a> Arbitrary<'a> for Calls {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut calls = Vec::new();
        while !input.is_empty() && calls.len() < MAX_CALLS {
            calls.push(input.arbitrary()?);
        }
        Ok(Self(calls))
    }
}

libfuzzer_sys::fuzz_target!(|calls: Calls| {
    // The fuzzer opens files between two runs.
    let before = open_descriptors();
    {
        let mut sides = [Side::new(1), Side::new(2)];
        connect(&sides);
        let mut at = 0;
        for call in calls.0 {
            match call {
                Call::Switch => at = 1 - at,
                call => {
                    let remotes = sides[1 - at].addresses();
                    sides[at].call(call, remotes);
                }
            }
        }
        for side in sides {
            side.close();
        }
    }
    assert_eq!(open_descriptors(), before, "descriptors were left open");
});

/// A handle and the objects that an application keeps beside it.
struct Side {
    handle: Handle,
    socket: LocalSocket,
    /// The socket of dynamic links.
    waiting: LocalSocket,
    datafds: Vec<Datafd>,
    /// Both ends of the pairs that were added.
    brought: Vec<UnixDatagram>,
    clones: Vec<Handle>,
}

impl Side {
    fn new(id: u16) -> Self {
        let handle = Handle::new(HostId::new(id)).expect("threads and descriptors are available");
        let bind = || handle.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let (socket, waiting) = (bind(), bind());
        let datafds = Vec::new();
        Self { handle, socket, waiting, datafds, brought: Vec::new(), clones: Vec::new() }
    }

    /// Returns the addresses of its static and of its dynamic links.
    fn addresses(&self) -> [SocketAddr; 2] {
        [self.socket.addr(), self.waiting.addr()]
    }

    /// Drops everything, and waits until the handle is closed.
    fn close(self) {
        let Self { handle, socket, waiting, datafds, brought, clones } = self;
        // The filter may hold the handle that holds it.
        handle.remove_filter().expect("not in a filter");
        drop((socket, waiting, datafds, brought, clones));
        handle.close().expect("this is the last clone");
    }

    /// Makes a call and ignores its errors.
    fn call(&mut self, call: Call, remotes: [SocketAddr; 2]) {
        let handle = &self.handle;
        match call {
            Call::AddHost { host } => drop(handle.add_host(host_id(host))),
            Call::RemoveHost { host } => drop(handle.remove_host(host_id(host))),
            Call::SetName { host, name } => {
                drop(handle.host(host_id(host)).and_then(|h| h.set_name(&(name % 5).to_string())));
            }
            Call::SetPolicy { host, policy } => {
                let policy =
                    [Policy::Passive, Policy::Active, Policy::RoundRobin][usize::from(policy % 3)];
                drop(handle.host(host_id(host)).and_then(|h| h.set_policy(policy)));
            }
            Call::AddLink { host, link, to } => {
                let nowhere = ([127, 0, 0, 1], 9).into();
                let remote = remotes.get(usize::from(to % 3)).copied().unwrap_or(nowhere);
                self.add_link(host, link, LinkConfig::udp(self.socket.addr(), remote));
            }
            Call::AddDynamic { host, link, shared } => {
                let local = if shared { &self.socket } else { &self.waiting };
                self.add_link(host, link, LinkConfig::udp_dynamic(local.addr()));
            }
            Call::AddLoopback { host, link } => {
                self.add_link(host, link, LinkConfig::loopback());
            }
            Call::AddEntry { host, link, index, entry } => {
                drop(self.link(host, link).and_then(|link| match index {
                    Some(index) => link.insert_acl_entry(index.into(), entry_of(entry)),
                    None => link.add_acl_entry(entry_of(entry)),
                }));
            }
            Call::RemoveEntry { host, link, entry } => {
                drop(self.link(host, link).and_then(|l| l.remove_acl_entry(entry_of(entry))));
            }
            Call::ClearList { host, link } => {
                drop(self.link(host, link).and_then(|link| link.clear_acl()));
            }
            Call::AccessLists { on } => drop(handle.set_access_lists(on)),
            Call::ClearLink { host, link } => {
                drop(self.link(host, link).and_then(kronosnet::Link::clear));
            }
            Call::Enable { host, link, on } => {
                drop(self.link(host, link).and_then(|l| if on { l.enable() } else { l.disable() }))
            }
            Call::SetTimers { host, link, interval_ms, timeout_ms, precision } => {
                let timers = PingTimers {
                    interval: Duration::from_millis(interval_ms.into()),
                    timeout: Duration::from_millis(timeout_ms.into()),
                    precision: precision.into(),
                };
                drop(self.link(host, link).and_then(|l| l.set_ping_timers(timers)));
            }
            Call::SetPongCount { host, link, count } => {
                drop(self.link(host, link).and_then(|l| l.set_pong_count(count)));
            }
            Call::SetPriority { host, link, priority } => {
                drop(self.link(host, link).and_then(|l| l.set_priority(priority)));
            }
            Call::Mark { host, link, priority, dscp, own } => {
                let own = own.then(|| marking(priority, dscp));
                drop(self.link(host, link).and_then(|l| l.set_marking(own)));
            }
            Call::MarkAll { priority, dscp } => {
                drop(handle.set_marking(marking(priority, dscp)));
            }
            Call::WaitReachable { host } => {
                let host = handle.host(host_id(host));
                drop(host.and_then(|h| h.wait_until_reachable(Duration::from_millis(1))));
            }
            Call::Forwarding { on } => drop(handle.set_forwarding(on)),
            Call::Mtu { mtu } => drop(handle.set_manual_mtu(mtu)),
            Call::MtuInterval { seconds } => {
                drop(handle.set_mtu_interval(Duration::from_secs(seconds.into())));
            }
            Call::Filter { kind } => self.filter(kind),
            Call::Subscribe { kind } => self.subscribe(kind),
            Call::Clear { links } => drop(handle.clear_stats(if links {
                ClearStats::HandleAndLinks
            } else {
                ClearStats::HandleOnly
            })),
            Call::Read => self.read(),
            Call::Clone => self.clones.push(handle.clone()),
            call => self.data(call),
        }
    }

    /// Makes a call about datafds.
    fn data(&mut self, call: Call) {
        let handle = &self.handle;
        match call {
            Call::CreateDatafd { channel } => {
                self.datafds.extend(handle.add_datafd(DatafdSource::Create, request(channel)));
            }
            Call::BringDatafd { channel } => {
                let (near, far) = UnixDatagram::pair().expect("descriptors are available");
                let source = DatafdSource::Fd(near.as_fd());
                self.datafds.extend(handle.add_datafd(source, request(channel)));
                self.brought.extend([near, far]);
            }
            Call::CloseFarEnd => drop(self.brought.pop()),
            Call::RemoveDatafd { nth } => {
                if let Some(nth) = usize::from(nth).checked_rem(self.datafds.len()) {
                    drop(self.datafds.swap_remove(nth).remove());
                }
            }
            Call::DropDatafd { nth } => {
                if let Some(nth) = usize::from(nth).checked_rem(self.datafds.len()) {
                    drop(self.datafds.swap_remove(nth));
                }
            }
            Call::Send { channel, length } => {
                drop(handle.send(channel_of(channel), &vec![1; length.into()]));
            }
            Call::SendSync { channel, length } => {
                drop(handle.send_sync(channel_of(channel), &vec![2; length.into()]));
            }
            Call::Receive { channel } => {
                drop(handle.recv(channel_of(channel), &mut [0; 1000]));
            }
            _ => {}
        }
    }

    fn filter(&self, kind: u8) {
        let own = self.handle.host_id();
        let handle = self.handle.clone();
        drop(match kind % 5 {
            0 => self.handle.remove_filter(),
            1 => self.handle.set_filter(|_| Verdict::Broadcast),
            2 => self.handle.set_filter(|_| Verdict::Reject),
            3 => self.handle.set_filter(move |message| {
                message.add_destination(own);
                message.add_destination(HostId::new(2));
                message.set_channel(message.channel().wrapping_add(1));
                Verdict::Destinations
            }),
            // Calls that are refused inside a filter must not hang.
            _ => self.handle.set_filter(move |_| {
                drop(handle.set_forwarding(false));
                drop(handle.add_host(HostId::new(9)));
                let _ = handle.stats();
                Verdict::Broadcast
            }),
        });
    }

    fn subscribe(&self, kind: u8) {
        let handle = &self.handle;
        match kind % 7 {
            0 => drop(handle.datafd_events()),
            1 => handle.on_host_event(|handle, _| drop(handle.set_forwarding(true))),
            2 => handle.on_link_event(|handle, _| drop(handle.hosts())),
            3 => handle.clear_on_host_event(),
            4 => handle.clear_on_link_event(),
            5 => handle.clear_on_datafd_event(),
            _ => handle.on_datafd_event(|handle, Notification { event, .. }| {
                drop(handle.datafd(event.channel).and_then(Datafd::remove));
            }),
        }
    }

    /// Queries everything.
    fn read(&self) {
        let handle = &self.handle;
        let _ = (handle.stats(), handle.drop_stats(), handle.data_mtu(), handle.manual_mtu());
        for channel in handle.channels() {
            drop((handle.channel_stats(channel), handle.datafd_status(channel)));
        }
        for id in handle.hosts() {
            let Ok(host) = handle.host(id) else { continue };
            drop((host.status(), host.stats(), host.name(), host.link_states()));
            for link in host.links().unwrap_or_default() {
                drop(host.link(link).and_then(|link| link.status().map(|_| link.acl())));
            }
        }
    }

    fn add_link(&self, host: u8, link: u8, config: LinkConfig) {
        drop(self.handle.host(host_id(host)).and_then(|h| h.add_link(link_id(link), config)));
    }

    fn link(&self, host: u8, link: u8) -> Result<kronosnet::Link, kronosnet::Error> {
        self.handle.host(host_id(host))?.link(link_id(link))
    }
}

/// Connects the two handles, over a static link and over a link that is dynamic at the first, so
/// that there is something to break.
fn connect(sides: &[Side; 2]) {
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        drop(side.handle.datafd_events());
        let host = side.handle.add_host(other.handle.host_id()).expect("it is new");
        let (local, [remote, waiting]) = (side.socket.addr(), other.addresses());
        let first = host.add_link(link_id(0), LinkConfig::udp(local, remote)).expect("it is new");
        let config = if side.handle.host_id() == host_id(1) {
            LinkConfig::udp_dynamic(side.waiting.addr())
        } else {
            LinkConfig::udp(local, waiting)
        };
        let second = host.add_link(link_id(1), config).expect("it is new");
        // The static one returns an error.
        let all = Entry { accept: true, kind: 1, elsewhere: false, ipv6: false };
        drop(second.add_acl_entry(entry_of(all)));
        for link in [first, second] {
            link.set_pong_count(1).expect("at least one");
            link.enable().expect("it was added");
        }
        side.handle.set_forwarding(true).expect("not in a filter");
    }
}

fn entry_of(entry: Entry) -> AclEntry {
    let action = if entry.accept { AclAction::Accept } else { AclAction::Reject };
    let (address, mask): (IpAddr, IpAddr) = match (entry.ipv6, entry.elsewhere) {
        (false, false) => ([127, 0, 0, 1].into(), [255, 255, 255, 255].into()),
        (false, true) => ([10, 0, 0, 1].into(), [255, 255, 255, 255].into()),
        (true, _) => ([0; 16].into(), [255; 16].into()),
    };
    match entry.kind % 3 {
        0 => AclEntry::address(action, address),
        1 => AclEntry::mask(action, address, mask).expect("one family, no bits outside the mask"),
        _ => AclEntry::range(action, address, address).expect("one address"),
    }
}

fn marking(priority: bool, dscp: Option<u8>) -> QosMarking {
    QosMarking { priority, dscp: dscp.and_then(|number| Dscp::try_from(number).ok()) }
}

fn host_id(number: u8) -> HostId {
    HostId::new(u16::from(number % 4))
}

fn link_id(number: u8) -> LinkId {
    LinkId::ALL[usize::from(number) % 3]
}

fn channel_of(number: u8) -> Channel {
    Channel::new(number % 4).expect("below 32")
}

fn request(channel: Option<u8>) -> ChannelRequest {
    channel.map_or(ChannelRequest::Any, |number| ChannelRequest::Exact(channel_of(number)))
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

/// Longer inputs find nothing that shorter ones do not.
const MAX_CALLS: usize = 60;
