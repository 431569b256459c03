//! Log events of several handles in one process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
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

#[test]
fn every_event_names_its_handle_and_its_subsystem() {
    let collector = Collector::default();
    let subscriber = tracing_subscriber::registry().with(collector.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let hosts = [1, 1, 2];
    let _handles = hosts.map(|id| Noisy::new(HostId::new(id)));
    let expected = ["filter", "handle", "rx", "transport", "tx"];
    let (events, arrived) = &*collector.0;
    let is_missing = |events: &mut Vec<Fields>| {
        let handles = by_instance(events);
        let complete = handles.values().filter(|(_, subsystems)| {
            expected.iter().all(|expected| subsystems.contains(expected))
        });
        complete.count() < hosts.len()
    };
    let events = events.lock().unwrap();
    let (events, timeout) = arrived.wait_timeout_while(events, DEADLINE, is_missing).unwrap();
    assert!(!timeout.timed_out(), "{:?}", by_instance(&events));
    let ids: Vec<_> = by_instance(&events).into_values().map(|(host, _)| host).collect();
    assert_eq!(ids, hosts, "numbers follow the order of creation");
}
