//! Which packets a link accepts, and what they may cause: the rules of `docs/protocol.md` ("Source
//! checks", "Dynamic links", "Access lists"), written a second time without the engine's own code.
//! The fuzz target `engine` checks every packet against them too.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Instant;

use knet_engine::{
    AclAction, DatagramMeta, DownReason, Engine, Event, HostStats, LinkKind, LinkPath, LinkState,
    LinkStats, LinkStatus, Received, Transmit,
};
use knet_wire::{Body, DecodeError, HostId, LinkId, Packet};

/// Passes packets to an engine and checks their effects against the rules.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// The pings that left: for which link, with which cookie, where to.
    asked: HashSet<(HostId, LinkId, [u8; 16], SocketAddr)>,
}

impl Admission {
    /// Passes a datagram to an engine whose outputs are drained. Returns the packets it sends as
    /// well.
    ///
    /// - A packet is rejected, and counted once, if and only if the rules reject it.
    /// - A rejected packet changes nothing but counters, and causes no packet and no other event
    ///   than its rejection.
    /// - A dynamic link takes an address only from a pong that comes from there, that its access
    ///   list accepts, and whose ping had gone there.
    /// - A ping or a probe causes no more bytes than it has itself.
    pub(crate) fn receive(
        &self,
        engine: &mut Engine,
        now: Instant,
        arrival: DatagramMeta,
        datagram: &[u8],
    ) -> (Received, Vec<Transmit>) {
        let packet = Packet::decode(datagram);
        let admitted = packet.as_ref().is_ok_and(|packet| admits(engine, now, arrival, packet));
        let unreadable = packet.as_ref().is_err_and(|why| !matches!(why, DecodeError::Link(_)));
        let (refused, peers) = (refusals(engine, unreadable), dynamic_peers(engine, now));
        let picture = (!admitted).then(|| picture(engine, now));

        let received = engine.handle_datagram(now, arrival, datagram);

        let refused = refusals(engine, unreadable) - refused;
        assert_eq!(refused, u64::from(!admitted), "{packet:?} from {arrival:?}");
        let transmits: Vec<_> = std::iter::from_fn(|| engine.poll_transmit()).collect();
        if let Some(before) = picture {
            assert!(matches!(received, Received::Consumed), "{packet:?} from {arrival:?}");
            let after = self::picture(engine, now);
            let changed = before.into_iter().zip(after).find(|(before, after)| before != after);
            assert_eq!(changed, None, "{packet:?} from {arrival:?}");
            assert!(transmits.is_empty() && engine.poll_routes().is_none());
            while let Some(event) = engine.poll_event() {
                assert!(matches!(event, Event::Rejected(_)), "{event:?}");
            }
        }
        for (before, after) in peers.iter().zip(dynamic_peers(engine, now)) {
            if *before != after {
                self.check_found(engine, arrival, packet.as_ref().ok(), &after);
            }
        }
        if packet.is_ok_and(|packet| matches!(packet.body, Body::Ping(_) | Body::PmtuProbe(_))) {
            let bytes = transmits.iter().map(|answer| answer.packet().len() + answer.padding_len());
            assert!(bytes.sum::<usize>() <= datagram.len(), "{transmits:?}");
        }
        for transmit in &transmits {
            check_way(engine, now, transmit, Some(arrival));
        }
        (received, transmits)
    }

    /// A packet left.
    pub(crate) fn sent(&mut self, transmit: &Transmit) {
        if let Ok(Packet { body: Body::Ping(ping), .. }) = Packet::decode(transmit.packet()) {
            let remote = transmit.path().remote;
            self.asked.insert((transmit.host(), transmit.link(), ping.cookie, remote));
        }
    }

    fn check_found(
        &self,
        engine: &Engine,
        arrival: DatagramMeta,
        packet: Option<&Packet<'_>>,
        found: &DynamicPeer,
    ) {
        let Some(&Packet { source: host, body: Body::Pong(pong) }) = packet else {
            panic!("{found:?} after {packet:?}");
        };
        assert_eq!(found.link, (host, pong.link));
        assert_eq!(found.path, Some(LinkPath { socket: arrival.socket, remote: arrival.source }));
        assert!(accepts(engine, host, pong.link, arrival.source), "{found:?}");
        let asked = (host, pong.link, pong.cookie, arrival.source);
        assert!(self.asked.contains(&asked), "no ping was sent to {found:?}");
    }
}

/// Checks the destination of a packet: the last address of the link's peer, or the one it answers.
/// Whether the peer is still known does not matter: the link may have gone down since the packet
/// was queued, because the one before was refused.
pub(crate) fn check_way(
    engine: &Engine,
    now: Instant,
    transmit: &Transmit,
    answered: Option<DatagramMeta>,
) {
    let status = engine.link_status(now, transmit.host(), transmit.link()).expect("it sends");
    let LinkPath { socket, remote } = transmit.path();
    assert_eq!(status.socket, Some(socket), "{transmit:?}");
    let to_peer = status.remote == Some(remote);
    let answers = answered.is_some_and(|to| to.socket == socket && to.source == remote);
    assert!(to_peer || (status.kind == LinkKind::Dynamic && answers), "{transmit:?}");
}

/// Returns `true` if the rules accept a packet.
fn admits(engine: &Engine, now: Instant, arrival: DatagramMeta, packet: &Packet<'_>) -> bool {
    let (host, DatagramMeta { socket, source, .. }) = (packet.source, arrival);
    let status = |link| engine.link_status(now, host, link).ok();
    let lists_in = |link, kind| kind != LinkKind::Dynamic || accepts(engine, host, link, source);
    let is_known = |status: &LinkStatus| status.peer_known && status.remote == Some(source);
    let speaks = |link| {
        status(link).filter(|status| match status.kind {
            LinkKind::Static => status.remote.is_some_and(|remote| remote.ip() == source.ip()),
            LinkKind::Dynamic => status.socket == Some(socket) && lists_in(link, status.kind),
            _ => false,
        })
    };
    match packet.body {
        Body::Ping(ping) | Body::Pong(ping) => speaks(ping.link).is_some(),
        Body::PmtuProbe(probe) => speaks(probe.link).is_some_and(|status| {
            status.kind == LinkKind::Static || is_known(&status) || !status.enabled
        }),
        Body::PmtuReply(reply) => speaks(reply.link)
            .is_some_and(|status| status.kind == LinkKind::Static || is_known(&status)),
        Body::Data(_) => {
            let links = engine.links(host).into_iter().flatten();
            let from_there = links.filter_map(|link| Some((link, status(link)?))).filter(
                |(_, LinkStatus { peer_known, remote, .. })| {
                    *peer_known && remote.is_some_and(|remote| remote.ip() == source.ip())
                },
            );
            // The one that fits best, or the first of them, is asked.
            let fits = from_there.min_by_key(|(_, status)| {
                let through = status.socket == Some(socket);
                let port = status.remote.is_some_and(|remote| remote.port() == source.port());
                (Reverse(through), Reverse(through && port))
            });
            fits.is_some_and(|(link, status)| lists_in(link, status.kind))
        }
    }
}

/// Returns `true` if a dynamic link's access list, if the lists are on, accepts this source.
fn accepts(engine: &Engine, host: HostId, link: LinkId, source: SocketAddr) -> bool {
    let list = engine.acl(host, link).unwrap_or_default();
    let first = list.iter().find(|entry| entry.matches(source.ip()));
    !engine.access_lists() || first.is_some_and(|entry| entry.action() == AclAction::Accept)
}

/// Where the peer of a dynamic link is known to be.
#[derive(Debug, Eq, PartialEq)]
struct DynamicPeer {
    link: (HostId, LinkId),
    path: Option<LinkPath>,
}

fn dynamic_peers(engine: &Engine, now: Instant) -> Vec<DynamicPeer> {
    let dynamic = links(engine, now).filter(|(.., status)| status.kind == LinkKind::Dynamic);
    let peers = dynamic.map(|(host, link, status)| {
        let path = || Some(LinkPath { socket: status.socket?, remote: status.remote? });
        DynamicPeer { link: (host, link), path: status.peer_known.then(path).flatten() }
    });
    peers.collect()
}

/// Returns the state of hosts, links and timers, one line each, without counters and without why an
/// enabled link is down: that may be what a rejected packet claims.
fn picture(engine: &Engine, now: Instant) -> Vec<String> {
    let hosts = engine.hosts().filter_map(|host| engine.host_status(host).ok());
    let hosts = hosts.map(|mut status| {
        status.stats = HostStats::default();
        format!("{status:?}")
    });
    let links = links(engine, now).map(|(host, link, mut status)| {
        status.stats = LinkStats::default();
        if status.enabled && !status.state.is_up() {
            status.state = LinkState::Down(DownReason::NoPongYet);
        }
        format!("link {link} of host {host}: {status:?}")
    });
    let rest = format!("{} bytes, {:?}", engine.reassembly_memory(), engine.poll_timeout());
    hosts.chain(links).chain([rest]).collect()
}

fn links(engine: &Engine, now: Instant) -> impl Iterator<Item = (HostId, LinkId, LinkStatus)> {
    engine.hosts().flat_map(move |host| {
        let links = engine.links(host).into_iter().flatten();
        links.filter_map(move |link| Some((host, link, engine.link_status(now, host, link).ok()?)))
    })
}

/// Returns how many packets were rejected, including malformed ones if they count as well.
fn refusals(engine: &Engine, unreadable: bool) -> u64 {
    let drops = engine.drops();
    let refused = drops.invalid_link
        + drops.unknown_host
        + drops.unknown_link
        + drops.wrong_source
        + drops.access_list;
    if unreadable { refused + drops.malformed } else { refused }
}
