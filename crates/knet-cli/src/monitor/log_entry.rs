//! Entries of the event log: what happened to hosts and links.

use kronosnet::{AddressEvent, HostEvent, HostId, LinkEvent, LinkId, MtuEvent};
use serde::Serialize;

use crate::monitor::clock::unix_time;
use crate::monitor::down_reason::Reason;

/// One event.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct LogEntry {
    /// In seconds since 1970.
    pub(crate) unix_time: u64,
    /// A word for scripts.
    pub(crate) event: &'static str,
    pub(crate) host: u16,
    /// `None` if the event is about the host.
    pub(crate) link: Option<u8>,
    /// A sentence for people.
    pub(crate) text: String,
}

impl From<&LinkEvent> for LogEntry {
    fn from(event: &LinkEvent) -> Self {
        let word = if event.state.is_up() { "link-up" } else { "link-down" };
        let state = Reason::of(event.state)
            .map_or_else(|| "up".to_owned(), |reason| format!("down: {}", reason.text));
        let text = format!("{} is {state}", link_name(event.host, event.link));
        Self::now(word, event.host.get(), Some(event.link.get()), text)
    }
}

impl From<&HostEvent> for LogEntry {
    fn from(event: &HostEvent) -> Self {
        let (word, state) =
            if event.reachable { (Self::REACHABLE, "") } else { (Self::UNREACHABLE, "not ") };
        let text = format!("host {} is {state}reachable", event.host);
        Self::now(word, event.host.get(), None, text)
    }
}

impl From<&AddressEvent> for LogEntry {
    fn from(event: &AddressEvent) -> Self {
        let word = if event.contested { "two-addresses" } else { "address" };
        let text = format!("the peer of {} {event}", link_name(event.host, event.link));
        Self::now(word, event.host.get(), Some(event.link.get()), text)
    }
}

impl LogEntry {
    pub(crate) const REACHABLE: &str = "reachable";
    pub(crate) const UNREACHABLE: &str = "unreachable";

    /// Returns the entry for an MTU event of a link. Those of hosts and of the handle follow from
    /// their links, and are left out.
    pub(crate) fn of_mtu(event: &MtuEvent) -> Option<Self> {
        let MtuEvent::Link { host, link, data_mtu } = *event else { return None };
        let text = format!("{} carries {data_mtu} bytes per packet", link_name(host, link));
        Some(Self::now("mtu", host.get(), Some(link.get()), text))
    }

    fn now(event: &'static str, host: u16, link: Option<u8>, text: String) -> Self {
        Self { unix_time: unix_time(), event, host, link, text }
    }
}

/// Returns the name of a link for people.
fn link_name(host: HostId, link: LinkId) -> String {
    format!("link {link} to host {host}")
}
