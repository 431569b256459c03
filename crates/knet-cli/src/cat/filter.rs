//! The filter: where each message goes, and the accounts of what is received.

use std::sync::Arc;

use kronosnet::{Direction, FilterMessage, HostId, Verdict};

use crate::cat::arrivals::Arrivals;
use crate::cat::destinations::Destinations;
use crate::cat::notice::{Body, Notice};

/// What the filter needs to know.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The channel of the data.
    pub(crate) data: i8,
    /// The channel of the notices.
    pub(crate) notices: i8,
    /// The only destinations of data; empty for all hosts.
    pub(crate) hosts: Vec<HostId>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) destinations: Arc<Destinations>,
}

impl Filter {
    /// Sends a notice to the host that it is for, and data to the hosts that were selected. Counts data that
    /// is received, and takes notices out.
    pub(crate) fn judge(&self, message: &mut FilterMessage<'_>) -> Verdict {
        let channel: i8 = message.channel();
        let notice = if channel == self.notices { Notice::decode(message.payload()) } else { None };
        match (message.direction(), notice) {
            (Direction::Tx, Some(notice)) => message.add_destination(notice.to),
            (Direction::Tx, None) if self.hosts.is_empty() => return Verdict::Broadcast,
            (Direction::Tx, None) => {
                self.hosts.iter().for_each(|&host| message.add_destination(host));
            }
            (Direction::Rx, Some(notice)) => {
                self.received(message.source(), &notice);
                return Verdict::Reject;
            }
            (Direction::Rx, None) if channel == self.data => {
                self.arrivals.arrived(message.source());
                return Verdict::Broadcast;
            }
            // Nobody reads other channels.
            _ => return Verdict::Reject,
        }
        Verdict::Destinations
    }

    fn received(&self, source: HostId, notice: &Notice) {
        match notice.body {
            Body::Probe { sent } => self.arrivals.probed(source, notice.sender, sent),
            Body::Credit(credit) => self.destinations.credit(source, notice.sender, credit),
        }
    }
}
