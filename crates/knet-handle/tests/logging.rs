//! Log events: of several handles in one process, and of the whole life of one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use knet_handle::{
    ChannelRequest, Datafd, DatafdSource, Handle, HostId, LinkConfig, LinkId, LocalSocket,
    PingTimers,
};
use knet_wire::{Ping, SequenceNumber};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const DEADLINE: Duration = Duration::from_secs(60);
const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The fields of an event by name, the message among them.
type Fields = BTreeMap<&'static str, String>;

/// Collects the events of the library.
#[derive(Clone, Default)]
struct Collector(Arc<(Mutex<Vec<Fields>>, Condvar)>);

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("knet") {
            let mut fields = FieldVisitor(Fields::new());
            event.record(&mut fields);
            let metadata = event.metadata();
            fields.0.insert("target", metadata.target().to_owned());
            fields.0.insert("level", metadata.level().to_string());
            self.0.0.lock().unwrap().push(fields.0);
            self.0.1.notify_all();
        }
    }
}

struct FieldVisitor(Fields);

impl Visit for FieldVisitor {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// Host id and subsystems of each handle, by its number.
fn by_instance(events: &[Fields]) -> BTreeMap<u64, (u16, BTreeSet<&str>)> {
    let mut handles = BTreeMap::<u64, (u16, BTreeSet<&str>)>::new();
    for event in events {
        let field = |name| event.get(name).unwrap_or_else(|| panic!("no {name}: {event:?}"));
        let host = field("handle").parse().expect("a host id");
        let (known, subsystems) = handles
            .entry(field("instance").parse().expect("a number"))
            .or_insert((host, [].into()));
        assert_eq!(*known, host, "a handle has one host id");
        subsystems.insert(field("subsystem").as_str());
    }
    handles
}

/// Keeps a handle busy with what it logs.
struct Noisy {
    _handle: Handle,
    _ends: [LocalSocket; 2],
    _datafd: Datafd,
}

impl Noisy {
    fn new(host: HostId) -> Self {
        let handle = Handle::new(host).unwrap();
        handle.on_host_event(|_, _| panic!("of a callback"));
        handle.set_filter(|_| panic!("of a filter")).unwrap();
        handle.set_forwarding(true).unwrap();

        // Nobody listens at the other end of the second link, which the kernel reports.
        let ends = [handle.bind(LOCALHOST).unwrap(), handle.bind(LOCALHOST).unwrap()];
        let closed = UdpSocket::bind(LOCALHOST).unwrap().local_addr().unwrap();
        let links = [(host, &ends[0], ends[0].addr()), (HostId::new(9), &ends[1], closed)];
        for (peer, local, remote) in links {
            let host = handle.add_host(peer).unwrap();
            let config = LinkConfig::udp(local.addr(), remote);
            let link = host.add_link(LinkId::ALL[0], config).unwrap();
            let interval = Duration::from_millis(20);
            link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
            link.set_pong_count(1).unwrap();
            link.enable().unwrap();
        }

        // A host that was never added is not let in.
        let (link, sequence) = (LinkId::ALL[0], SequenceNumber::ZERO);
        let ping = Ping { link, cookie: [0; 16], sequence, timed: false };
        let stranger = UdpSocket::bind(LOCALHOST).unwrap();
        stranger.send_to(&ping.encode_ping(HostId::new(99)), ends[0].addr()).unwrap();

        let _ = handle.datafd_events();
        let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        let _ = knet_fd::send(&datafd, b"rejected by the filter").unwrap();
        Self { _handle: handle, _ends: ends, _datafd: datafd }
    }
}

/// Returns the log of all handles of this process, of which each test looks at its own.
fn log() -> &'static Collector {
    static LOG: OnceLock<Collector> = OnceLock::new();
    LOG.get_or_init(|| {
        let collector = Collector::default();
        let subscriber = tracing_subscriber::registry().with(collector.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        collector
    })
}

impl Collector {
    /// Waits until the events of these hosts' handles are complete, and returns them.
    fn wait_for(&self, hosts: &[u16], is_complete: impl Fn(&[Fields]) -> bool) -> Vec<Fields> {
        let (events, arrived) = &*self.0;
        let of_hosts = |events: &[Fields]| -> Vec<Fields> {
            let ours =
                |event: &&Fields| hosts.iter().any(|host| event["handle"] == host.to_string());
            events.iter().filter(ours).cloned().collect()
        };
        let is_missing = |events: &mut Vec<Fields>| !is_complete(&of_hosts(events));
        let events = events.lock().unwrap();
        let (events, timeout) = arrived.wait_timeout_while(events, DEADLINE, is_missing).unwrap();
        let events = of_hosts(&events);
        assert!(!timeout.timed_out(), "{events:#?}");
        events
    }
}

#[test]
fn every_event_names_its_handle_and_its_subsystem() {
    let log = log();
    let hosts = [1, 1, 2];
    let _handles = hosts.map(|id| Noisy::new(HostId::new(id)));
    let expected = ["filter", "handle", "host", "link", "rx", "transport", "tx"];
    let events = log.wait_for(&[1, 2], |events| {
        let handles = by_instance(events);
        let complete = handles.values().filter(|(_, subsystems)| {
            expected.iter().all(|expected| subsystems.contains(expected))
        });
        complete.count() == hosts.len()
    });
    let ids: Vec<_> = by_instance(&events).into_values().map(|(host, _)| host).collect();
    assert_eq!(ids, hosts, "numbers follow the order of creation");
    for event in events {
        assert_eq!(event["target"], format!("knet::{}", event["subsystem"]), "{event:?}");
    }
}

/// Returns the messages of a subsystem, each with its level and the fields that matter.
fn story(events: &[Fields], subsystem: &str) -> Vec<String> {
    let about = events.iter().filter(|event| event["subsystem"] == subsystem);
    let lines = about.map(|event| {
        let details = ["host", "link", "channel", "reason", "problem", "enabled", "on"];
        let details =
            details.iter().filter_map(|&name| Some(format!(" {name}={}", event.get(name)?)));
        format!("{} {}{}", event["level"], event["message"], details.collect::<String>())
    });
    lines.collect()
}

#[test]
fn the_whole_life_of_a_handle_is_logged() {
    const OWN: u16 = 77;
    let log = log();
    let handle = Handle::new(HostId::new(OWN)).unwrap();
    let events = handle.host_events();
    let problems = handle.datafd_events();
    handle.set_manual_mtu(Some(1400)).unwrap();
    handle.set_mtu_interval(Duration::from_secs(5)).unwrap();
    handle.set_access_lists(false).unwrap();
    handle.set_forwarding(true).unwrap();
    handle.set_filter(|_| knet_handle::Verdict::Broadcast).unwrap();
    handle.remove_filter().unwrap();

    let (near, far) = UnixStream::pair().unwrap();
    let channel = ChannelRequest::Exact(knet_handle::Channel::ALL[5]);
    let datafd = handle.add_datafd(DatafdSource::Fd(near.as_fd()), channel).unwrap();
    drop(far);
    problems.recv_timeout(DEADLINE).unwrap();
    handle.remove_datafd(&datafd).unwrap();

    // The host pings itself over UDP.
    let local = handle.bind(LOCALHOST).unwrap();
    let host = handle.add_host(handle.host_id()).unwrap();
    host.set_name("itself").unwrap();
    host.set_policy(knet_handle::Policy::Active).unwrap();
    let config = LinkConfig::udp(local.addr(), local.addr());
    let link = host.add_link(LinkId::ALL[0], config).unwrap();
    link.set_priority(3).unwrap();
    link.set_pong_count(1).unwrap();
    link.set_ping_timers(PingTimers::default()).unwrap();
    link.enable().unwrap();
    events.recv_timeout(DEADLINE).unwrap();
    link.disable().unwrap();
    link.clear().unwrap();
    host.remove().unwrap();
    events.recv_timeout(DEADLINE).unwrap();
    drop((local, datafd));
    handle.close().unwrap();

    let events = log.wait_for(&[OWN], |events| {
        events.last().is_some_and(|last| last["message"] == "handle closed")
    });
    let own = format!("host={OWN}");
    let expect = |subsystem: &str, expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(|line| line.replace("OWN", &own)).collect();
        // What the caller did and what followed are logged by two threads.
        let [mut story, mut expected] = [story(&events, subsystem), expected];
        story.sort();
        expected.sort();
        assert_eq!(story, expected);
    };
    expect(
        "link",
        &[
            "INFO link added OWN link=0",
            "DEBUG configuration of the link OWN link=0",
            "DEBUG priority set OWN link=0",
            "DEBUG pong count set OWN link=0",
            "DEBUG ping timers set OWN link=0",
            "INFO link switched OWN link=0 enabled=true",
            "INFO link is up OWN link=0",
            "INFO link switched OWN link=0 enabled=false",
            "INFO link is down OWN link=0 reason=disabled",
            "INFO link cleared OWN link=0",
        ],
    );
    expect(
        "host",
        &[
            "INFO host added OWN",
            "DEBUG host name set OWN",
            "DEBUG link policy set OWN",
            "INFO host is reachable OWN link=0",
            "INFO host is not reachable OWN link=0",
            "INFO host removed OWN",
        ],
    );
    expect(
        "datafd",
        &[
            "INFO datafd added channel=5",
            "INFO datafd is disabled channel=5 problem=the other end is closed",
            "INFO datafd removed channel=5",
        ],
    );
    expect("filter", &["DEBUG filter installed", "DEBUG filter removed"]);
    expect(
        "handle",
        &[
            "INFO handle created",
            "DEBUG access lists switched on=false",
            "INFO forwarding switched on=true",
            "INFO handle closed",
        ],
    );
    let pmtud = story(&events, "pmtud");
    for expected in [
        "DEBUG manual MTU set".to_owned(),
        "DEBUG interval of MTU searches set".to_owned(),
        format!("DEBUG data MTU of a host changed {own}"),
        "DEBUG data MTU of all hosts changed".to_owned(),
    ] {
        assert!(pmtud.contains(&expected), "{expected}: {pmtud:#?}");
    }
    assert!(events.iter().all(|event| event["handle"] == OWN.to_string()));
}
