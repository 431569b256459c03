//! Events as text.

use std::fmt;

use crate::event::{HostEvent, LinkEvent, MtuEvent};

impl fmt::Display for LinkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {} to host {} is {}", self.link, self.host, self.state)
    }
}

impl fmt::Display for HostEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.reachable { "reachable" } else { "not reachable" };
        write!(f, "host {} is {state}", self.host)?;
        match self.cause {
            Some((link, state)) => write!(f, ": link {link} is {state}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MtuEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link { host, link, data_mtu } => {
                write!(f, "packets on link {link} to host {host} carry {data_mtu} bytes")
            }
            Self::Host { host, data_mtu } => {
                write!(f, "packets to host {host} carry {data_mtu} bytes")
            }
            Self::Handle { data_mtu } => write!(f, "packets to any host carry {data_mtu} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use knet_wire::{HostId, LinkId};

    use super::*;
    use crate::{DownReason, LinkState};

    #[test]
    fn events_name_what_they_are_about() {
        let (host, link) = (HostId::new(2), LinkId::ALL[1]);
        let state = LinkState::Down(DownReason::Disabled);
        let event = LinkEvent { host, link, state };
        assert_eq!(event.to_string(), "link 1 to host 2 is down: disabled");
        let event = HostEvent { host, reachable: false, cause: Some((link, state)) };
        assert_eq!(event.to_string(), "host 2 is not reachable: link 1 is down: disabled");
        let event = HostEvent { host, reachable: true, cause: None };
        assert_eq!(event.to_string(), "host 2 is reachable");
        let event = MtuEvent::Link { host, link, data_mtu: 1373 };
        assert_eq!(event.to_string(), "packets on link 1 to host 2 carry 1373 bytes");
        let event = MtuEvent::Handle { data_mtu: 1373 };
        assert_eq!(event.to_string(), "packets to any host carry 1373 bytes");
    }
}
