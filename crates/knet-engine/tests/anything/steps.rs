//! Random steps: calls, packets and time, each with its frequency.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knet_engine::{AclAction, AclEntry, DatagramMeta, LinkPath, PingTimers, Policy, SocketId};
use knet_wire::{
    DataHeader, Fragment, FragmentPart, HostId, IpVersion, LinkId, PMTU_HEADER_LEN, Ping, Pmtu,
    SequenceNumber,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A step of a random run.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    AddHost(HostId),
    RemoveHost(HostId),
    SetName(HostId, String),
    SetPolicy(HostId, Policy),
    AddLink(HostId, LinkId),
    AddDynamic(HostId, LinkId, SocketId, IpVersion),
    AddLoopback(HostId, LinkId),
    ClearLink(HostId, LinkId),
    Enable(HostId, LinkId, bool),
    InsertEntry(HostId, LinkId, usize, AclEntry),
    RemoveEntry(HostId, LinkId, AclEntry),
    ClearList(HostId, LinkId),
    AccessLists(bool),
    SetTimers(HostId, LinkId, PingTimers),
    SetPongCount(HostId, LinkId, u8),
    SetPriority(HostId, LinkId, u8),
    SetMtu(Option<u16>),
    SetMtuInterval(Duration),
    MtuLimit(SocketId, IpAddr, u32),
    MtuSuggestion(SocketId, IpAddr, u32),
    TransportError(SocketId, SocketAddr, i32),
    /// From now on the kernel lets no control packet leave, for this reason; or it does again.
    KernelRefuses(Option<i32>),
    ForcePings,
    /// Time passes without a call.
    Wait(Duration),
    /// The driver sleeps until the engine wants to be called.
    Sleep,
    /// A clock that steps back.
    Rewind(Duration),
    Datagram(DatagramMeta, Vec<u8>),
    /// It comes from where the peer of a link was last.
    FromPeer(HostId, LinkId, Vec<u8>),
    /// Every ping and probe since the last time is answered.
    Answer,
    /// Every ping and probe since the last time is answered from another place.
    Overheard(u8),
    /// The latest message could not be delivered.
    DeliveryFailed,
    CountMessages(u16),
}

/// Where a static link leads.
pub(crate) fn path(host: HostId, link: LinkId) -> LinkPath {
    let remote = match link.get() {
        1 => ([0xfd00, 0, 0, 0, 0, 0, 1, host.get()], 5405).into(),
        four => ([10, 0, four, host.get() as u8], 5405).into(),
    };
    LinkPath { socket: SocketId(u64::from(link.get() == 1)), remote }
}

/// The socket of a dynamic link: those of static links are not to be had, most of the time.
pub(crate) fn dynamic_socket(link: LinkId) -> (SocketId, IpVersion) {
    if link.get() == 1 { (SocketId(3), IpVersion::V6) } else { (SocketId(2), IpVersion::V4) }
}

/// Somewhere the peer of a dynamic link may be: one of four IP addresses, with one of two ports.
pub(crate) fn place(version: IpVersion, number: u8) -> SocketAddr {
    let (last, port) = (number / 2 % 4, 5405 + u16::from(number % 2));
    match version {
        IpVersion::V4 => ([10, 9, 0, last], port).into(),
        IpVersion::V6 => ([0xfd00, 0, 0, 0, 0, 0, 9, last.into()], port).into(),
    }
}
fn hosts() -> impl Strategy<Value = HostId> {
    select(vec![2u16, 2, 2, 2, 2, 3, 4, 1]).prop_map(HostId::new)
}

fn links() -> impl Strategy<Value = LinkId> {
    select(vec![0usize, 0, 0, 0, 1, 2, 7]).prop_map(|link| LinkId::ALL[link])
}

/// Links again, those more often that are dynamic more often.
fn followed() -> impl Strategy<Value = LinkId> {
    select(vec![0usize, 1, 1, 1, 2]).prop_map(|link| LinkId::ALL[link])
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        5 => (0u64..5000).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_nanos),
        1 => Just(Duration::MAX),
    ]
}

fn timers() -> impl Strategy<Value = PingTimers> {
    (durations(), durations(), any::<u32>()).prop_map(|(interval, timeout, precision)| PingTimers {
        interval,
        timeout,
        precision,
    })
}

/// From where a packet of this link may come: a static peer's address, or somewhere else.
fn arrivals(host: HostId, link: LinkId) -> impl Strategy<Value = DatagramMeta> {
    let (socket, version) = dynamic_socket(link);
    let path = path(host, link);
    prop_oneof![
        10 => Just(DatagramMeta { socket: path.socket, source: path.remote, local: None }),
        10 => (0u8..8).prop_map(move |at| DatagramMeta { socket, source: place(version, at), local: None }),
        1 => (0u64..4, 0u8..8).prop_map(move |(socket, at)| {
            DatagramMeta { socket: SocketId(socket), source: place(version, at), local: None }
        }),
        1 => Just(DatagramMeta { socket, source: path.remote, local: None }),
    ]
}

/// A packet's link, and from where it comes.
fn origins() -> impl Strategy<Value = (HostId, LinkId, DatagramMeta)> {
    (hosts(), links()).prop_flat_map(|(host, link)| {
        arrivals(host, link).prop_map(move |arrival| (host, link, arrival))
    })
}

/// Packets that decode, from the place where they belong or from another one.
fn packets() -> impl Strategy<Value = (DatagramMeta, Vec<u8>)> {
    let sequence = prop_oneof![6 => 0u16..6, 1 => any::<u16>()].prop_map(SequenceNumber::new);
    let part =
        |index, count| FragmentPart::new(index, count).map_or(Fragment::Whole, Fragment::Part);
    let fragment = prop_oneof![
        2 => Just(Fragment::Whole),
        6 => (1u8..3).prop_map(move |index| part(index, 2)),
        1 => (1u8..5, 2u8..5).prop_map(move |(index, count)| part(index, count)),
    ];
    let len = prop_oneof![4 => Just(100), 1 => 1usize..200, 1 => 1usize..66_000];
    (origins(), sequence, fragment, len, 0u8..7, any::<bool>()).prop_map(
        |((host, link, arrival), sequence, fragment, len, kind, timed)| {
            let ping = Ping { link, cookie: [kind; 16], sequence, timed };
            let datagram = match kind {
                0 => ping.encode_ping(host).to_vec(),
                1 => ping.encode_pong(host).to_vec(),
                2 => Pmtu { link, cookie: [1, 1] }.encode_reply(host).to_vec(),
                3 => {
                    let mut probe = vec![0; len + PMTU_HEADER_LEN];
                    let _ = Pmtu { link, cookie: [1, 1] }.encode_probe(host, &mut probe);
                    probe
                }
                _ => {
                    let (compression, broadcast) = (u8::from(len < 10), len < 20);
                    let header =
                        DataHeader { sequence, compression, broadcast, fragment, channel: 4 };
                    [&header.encode(host)[..], &vec![kind; len]].concat()
                }
            };
            (arrival, datagram)
        },
    )
}

/// Entries about one or some of the places, of the family that the link has or, now and then, of
/// the other.
fn entries(link: LinkId) -> impl Strategy<Value = AclEntry> {
    let version = (0u8..20).prop_map(move |odd| match dynamic_socket(link).1 {
        IpVersion::V4 if odd > 0 => IpVersion::V4,
        IpVersion::V6 if odd == 0 => IpVersion::V4,
        _ => IpVersion::V6,
    });
    let action = select(vec![AclAction::Accept, AclAction::Accept, AclAction::Reject]);
    (version, action, 0u8..4, 0u8..4, 0u8..3).prop_map(|(version, action, one, two, kind)| {
        let [first, last] = [one.min(two), one.max(two)].map(|at| place(version, 2 * at).ip());
        let mask: IpAddr = match version {
            IpVersion::V4 => [255, 255, 255, 254].into(),
            IpVersion::V6 => {
                [0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfffe].into()
            }
        };
        let network = place(version, 2 * (one & 2)).ip();
        let entry = match kind {
            0 => AclEntry::mask(action, network, mask),
            1 => AclEntry::range(action, first, last),
            _ => Ok(AclEntry::address(action, first)),
        };
        entry.expect("one family, in order, within the mask")
    })
}

/// Changes of access lists.
fn list_steps() -> impl Strategy<Value = Step> {
    let edits =
        (hosts(), followed(), 0u8..10, 0usize..4).prop_flat_map(|(host, link, kind, index)| {
            entries(link).prop_map(move |entry| match kind {
                0 => Step::ClearList(host, link),
                1..3 => Step::RemoveEntry(host, link, entry),
                _ => Step::InsertEntry(host, link, index, entry),
            })
        });
    prop_oneof![8 => edits, 1 => any::<bool>().prop_map(Step::AccessLists)]
}

/// Reports of the kernel and of routers about packets.
fn network_steps() -> impl Strategy<Value = Step> {
    let limit = prop_oneof![any::<u32>(), 0u32..2000];
    let hint = (any::<bool>(), origins(), limit).prop_map(|(sure, (.., arrival), limit)| {
        let (socket, to) = (arrival.socket, arrival.source.ip());
        if sure {
            Step::MtuLimit(socket, to, limit)
        } else {
            Step::MtuSuggestion(socket, to, limit)
        }
    });
    let error = (origins(), any::<i32>()).prop_map(|((.., arrival), errno)| {
        Step::TransportError(arrival.socket, arrival.source, errno)
    });
    let refuses = prop_oneof![2 => Just(None), 1 => any::<i32>().prop_map(Some)];
    prop_oneof![2 => hint, 1 => error, 3 => refuses.prop_map(Step::KernelRefuses)]
}

/// Changes of the configuration.
fn configuration_steps() -> impl Strategy<Value = Step> {
    let policies = select(vec![Policy::Passive, Policy::Active, Policy::RoundRobin]);
    let mtu = prop_oneof![Just(None), any::<u16>().prop_map(Some), Just(Some(1500))];
    let dynamic = (hosts(), followed(), 0u8..20).prop_map(|(host, link, odd)| {
        let (socket, version) = dynamic_socket(link);
        let socket = if odd == 0 { path(host, link).socket } else { socket };
        Step::AddDynamic(host, link, socket, version)
    });
    let own = select(vec![1u16, 1, 1, 2]).prop_map(HostId::new);
    prop_oneof![
        2 => hosts().prop_map(Step::AddHost),
        1 => hosts().prop_map(Step::RemoveHost),
        1 => (hosts(), "[23a]{0,2}").prop_map(|(host, name)| Step::SetName(host, name)),
        1 => (hosts(), policies).prop_map(|(host, policy)| Step::SetPolicy(host, policy)),
        3 => (hosts(), links()).prop_map(|(host, link)| Step::AddLink(host, link)),
        3 => dynamic,
        1 => (own, links()).prop_map(|(host, link)| Step::AddLoopback(host, link)),
        1 => (hosts(), links()).prop_map(|(host, link)| Step::ClearLink(host, link)),
        4 => (hosts(), links(), prop::bool::weighted(0.9))
            .prop_map(|(host, link, on)| Step::Enable(host, link, on)),
        2 => (hosts(), links(), timers()).prop_map(|(h, l, timers)| Step::SetTimers(h, l, timers)),
        3 => (hosts(), links(), 0u8..4).prop_map(|(h, l, count)| Step::SetPongCount(h, l, count)),
        1 => (hosts(), links(), any::<u8>()).prop_map(|(h, l, to)| Step::SetPriority(h, l, to)),
        1 => mtu.prop_map(Step::SetMtu),
        1 => durations().prop_map(Step::SetMtuInterval),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        20 => configuration_steps(),
        8 => list_steps(),
        4 => network_steps(),
        1 => Just(Step::ForcePings),
        4 => (0u64..20_000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        8 => Just(Step::Sleep),
        1 => (0u64..3000).prop_map(|ms| Step::Rewind(Duration::from_millis(ms))),
        24 => packets().prop_map(|(arrival, datagram)| Step::Datagram(arrival, datagram)),
        1 => (origins(), bytes).prop_map(|((.., arrival), bytes)| Step::Datagram(arrival, bytes)),
        8 => (hosts(), followed(), packets())
            .prop_map(|(host, link, (_, datagram))| Step::FromPeer(host, link, datagram)),
        12 => Just(Step::Answer),
        2 => (0u8..8).prop_map(Step::Overheard),
        1 => Just(Step::DeliveryFailed),
        1 => (0u16..9000).prop_map(Step::CountMessages),
    ]
}
