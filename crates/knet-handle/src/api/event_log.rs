//! Logs what is reported to the application.

use knet_engine::{AddressEvent, HostEvent, LinkEvent, LinkState, MtuEvent, Rejection};

use crate::core::notices::Notice;
use crate::event::{DatafdEvent, DatafdProblem};
use crate::log::{Log, log};

/// Logs an event. Before it `dropped` others of its kind were lost.
pub(crate) fn notice(log: Log, notice: &Notice, dropped: u64) {
    if dropped > 0 {
        log!(warn, log, Handle, dropped, "events were dropped: a callback does not return");
    }
    match notice {
        Notice::Link(event) => link(log, event),
        Notice::Host(event) => host(log, event),
        Notice::Mtu(event) => mtu(log, *event),
        Notice::Address(event) => address(log, event),
        Notice::Datafd(event) => datafd(log, event),
        Notice::Rejected(Rejection { source, reason, suppressed, .. }) => {
            log!(warn, log, Rx, %source, %reason, suppressed, "packet rejected");
        }
    }
}

fn link(log: Log, event: &LinkEvent) {
    let (host, link) = (event.host.get(), event.link.get());
    match event.state {
        LinkState::Up => log!(info, log, Link, host, link, "link is up"),
        LinkState::Down(reason) => log!(info, log, Link, host, link, %reason, "link is down"),
    }
}

fn host(log: Log, event: &HostEvent) {
    let host = event.host.get();
    let link = event.cause.map(|(link, _)| link.get());
    if event.reachable {
        log!(info, log, Host, host, link, "host is reachable");
    } else {
        log!(info, log, Host, host, link, "host is not reachable");
    }
}

fn mtu(log: Log, event: MtuEvent) {
    let data_mtu = event.data_mtu();
    match event {
        MtuEvent::Link { host, link, .. } => {
            let (host, link) = (host.get(), link.get());
            log!(info, log, Pmtud, host, link, data_mtu, "data MTU of a link changed");
        }
        MtuEvent::Host { host, .. } => {
            log!(debug, log, Pmtud, host = host.get(), data_mtu, "data MTU of a host changed");
        }
        _ => log!(debug, log, Pmtud, data_mtu, "data MTU of all hosts changed"),
    }
}

fn address(log: Log, event: &AddressEvent) {
    let AddressEvent { host, link, from, to, contested, suppressed, .. } = event;
    let (host, link) = (host.get(), link.get());
    if *contested {
        log!(
            warn, log, Link, host, link, %from, %to, suppressed,
            "the peer moves to and fro between two addresses: two machines may have its id"
        );
    } else {
        log!(info, log, Link, host, link, %from, %to, suppressed, "the peer is at another address");
    }
}

fn datafd(log: Log, event: &DatafdEvent) {
    let DatafdEvent { datafd, channel, direction, problem, .. } = event;
    match problem {
        DatafdProblem::EndOfFile | DatafdProblem::ReadFailed { .. } => {
            log!(info, log, Datafd, datafd, %channel, ?direction, %problem, "datafd is disabled");
        }
        _ => log!(warn, log, Datafd, datafd, %channel, ?direction, %problem, "messages were lost"),
    }
}
