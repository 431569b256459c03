//! Examples of links, for tests and for the example in `docs/operating.md`.

use kronosnet::{DownReason, LinkState};

use crate::check::facts::{Facts, PeerView};
use crate::check::interfaces::Interface;
use crate::check::plan::PlannedLink;
use crate::check::probe::PingCount;
use crate::check::report::LinkReport;

/// Returns an interface with this MTU.
pub(crate) fn interface(mtu: usize) -> Interface {
    Interface {
        name: "eth0".into(),
        address: "10.0.0.1".parse().unwrap(),
        prefix: 24,
        is_up: true,
        has_carrier: true,
        mtu: Some(mtu),
    }
}

/// Returns a link that is fine.
pub(crate) fn healthy() -> Facts {
    Facts {
        planned: PlannedLink {
            id: kronosnet::LinkId::new(0).unwrap(),
            path: "2:10.0.0.1:5405=10.0.0.2:5405".parse().unwrap(),
            interface: Some(interface(1500)),
            findings: Vec::new(),
        },
        state: LinkState::Up,
        was_up: true,
        total: PingCount { sent: 60, answered: 58 },
        counted: Some(PingCount { sent: 50, answered: 50 }),
        heard: 60,
        from_other_port: false,
        stray: None,
        elsewhere: None,
        latency_us: Some(83),
        path_mtu: Some(1500),
        data_mtu: 1446,
        peer: PeerView::Report(there()),
    }
}

/// Returns the peer's report on a link that is fine.
pub(crate) fn there() -> LinkReport {
    LinkReport {
        link: 0,
        up: true,
        sent: 50,
        answered: 50,
        latency_us: Some(90),
        path_mtu: Some(1500),
        heard: 55,
    }
}

/// Returns a link on which no ping was answered.
pub(crate) fn silent() -> Facts {
    Facts {
        state: LinkState::Down(DownReason::NoPongYet),
        was_up: false,
        total: PingCount { sent: 200, answered: 0 },
        counted: None,
        heard: 0,
        latency_us: None,
        path_mtu: None,
        peer: PeerView::Unknown,
        ..healthy()
    }
}
