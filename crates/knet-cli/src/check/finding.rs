//! What can be wrong with a link or a plan, with an explanation and a code for scripts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use kronosnet::{HostId, LinkId};

/// Something that the operator should know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    // The plan.
    AddressNotLocal(IpAddr),
    NoRoute { remote: IpAddr, why: String },
    InterfaceDown(String),
    NoCarrier(String),
    RemoteIsLocal,
    DuplicateAddresses { host: HostId, link: LinkId },
    SharedNetwork { link: LinkId, network: String, interface: String },
    // Observed from here.
    WrongHostId { remote: SocketAddr, planned: HostId, host: HostId },
    WrongLinkId { remote: SocketAddr, planned: LinkId, link: LinkId },
    WrongPort { host: HostId, remote: SocketAddr },
    WrongAddress { host: HostId, remote: SocketAddr, source: SocketAddr },
    TwoAddresses { host: HostId, remote: SocketAddr, source: SocketAddr },
    ConnectionRefused(SocketAddr),
    HostUnreachable { remote: IpAddr, why: String },
    OneWay { host: HostId },
    InboundLost { host: HostId },
    NoAnswer { host: HostId, remote: SocketAddr },
    TooFewPongs { sent: u64, answered: u64 },
    LinkWentDown(String),
    PingLoss { sent: u64, answered: u64 },
    PeerSendsNoPings { host: HostId },
    MtuUnknown,
    MtuBelow1500 { path: usize, data: usize },
    MtuBelowInterface { path: usize, interface: String, mtu: usize },
    // Reported by the peer.
    PeerReportsDown { host: HostId },
    PeerReportsLoss { host: HostId, sent: u64, answered: u64 },
    MtuMismatch { host: HostId, here: usize, there: usize },
    LinkUnknownToPeer { host: HostId },
    VersionMismatch { host: HostId },
    NoReportFromPeer { host: HostId },
    // About no particular link: the number of packets.
    UnknownHostId(u64),
    UnknownLinkId(u64),
    WrongSourceAddress(u64),
    MalformedPackets(u64),
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    /// The link is unfit for use.
    Fault,
    /// The link works, but deserves attention.
    Warning,
}

impl Finding {
    /// Returns the severity.
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::PingLoss { sent, answered } | Self::PeerReportsLoss { sent, answered, .. }
                if lost_percent(*sent, *answered) < FAULTY_LOSS =>
            {
                Severity::Warning
            }
            Self::SharedNetwork { .. }
            | Self::TwoAddresses { .. }
            | Self::MtuUnknown
            | Self::MtuBelow1500 { .. }
            | Self::MtuBelowInterface { .. }
            | Self::MtuMismatch { .. }
            | Self::VersionMismatch { .. }
            | Self::UnknownHostId(_)
            | Self::UnknownLinkId(_)
            | Self::WrongSourceAddress(_)
            | Self::MalformedPackets(_) => Severity::Warning,
            // A new finding is a fault unless it is listed above.
            _ => Severity::Fault,
        }
    }

    /// Returns `true` if the finding is guessed from the configuration of this machine: that a link
    /// works refutes it.
    pub(crate) fn is_guess(&self) -> bool {
        matches!(
            self,
            Self::AddressNotLocal(_)
                | Self::NoRoute { .. }
                | Self::InterfaceDown(_)
                | Self::NoCarrier(_)
        )
    }

    /// Returns `true` if the finding is a fault.
    pub(crate) fn is_fault(&self) -> bool {
        self.severity() == Severity::Fault
    }

    /// Returns the code for scripts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::AddressNotLocal(_) => "address-not-local",
            Self::NoRoute { .. } => "no-route",
            Self::InterfaceDown(_) => "interface-down",
            Self::NoCarrier(_) => "no-carrier",
            Self::RemoteIsLocal => "remote-is-local",
            Self::DuplicateAddresses { .. } => "duplicate-addresses",
            Self::SharedNetwork { .. } => "shared-network",
            Self::WrongHostId { .. } => "wrong-host-id",
            Self::WrongLinkId { .. } => "wrong-link-id",
            Self::WrongPort { .. } => "wrong-port",
            Self::WrongAddress { .. } => "wrong-address",
            Self::TwoAddresses { .. } => "two-addresses",
            Self::ConnectionRefused(_) => "connection-refused",
            Self::HostUnreachable { .. } => "host-unreachable",
            Self::OneWay { .. } => "one-way",
            Self::InboundLost { .. } => "inbound-lost",
            Self::NoAnswer { .. } => "no-answer",
            Self::TooFewPongs { .. } => "too-few-pongs",
            Self::LinkWentDown(_) => "link-went-down",
            Self::PingLoss { .. } => "ping-loss",
            Self::PeerSendsNoPings { .. } => "peer-sends-no-pings",
            Self::MtuUnknown => "mtu-unknown",
            Self::MtuBelow1500 { .. } => "mtu-below-1500",
            Self::MtuBelowInterface { .. } => "mtu-below-interface",
            Self::PeerReportsDown { .. } => "peer-reports-down",
            Self::PeerReportsLoss { .. } => "peer-reports-loss",
            Self::MtuMismatch { .. } => "mtu-mismatch",
            Self::LinkUnknownToPeer { .. } => "link-unknown-to-peer",
            Self::VersionMismatch { .. } => "version-mismatch",
            Self::NoReportFromPeer { .. } => "no-report-from-peer",
            Self::UnknownHostId(_) => "unknown-host-id",
            Self::UnknownLinkId(_) => "unknown-link-id",
            Self::WrongSourceAddress(_) => "wrong-source-address",
            Self::MalformedPackets(_) => "malformed-packets",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressNotLocal(ip) => {
                write!(
                    f,
                    "{ip} is not an address of this machine: is it mistyped, or not configured yet?"
                )
            }
            Self::NoRoute { remote, why } => {
                write!(f, "this machine has no route to {remote}: {why}")
            }
            Self::InterfaceDown(name) => write!(f, "{name} is down: run ip link set {name} up"),
            Self::NoCarrier(name) => write!(f, "{name} has no carrier: is its cable plugged in?"),
            Self::RemoteIsLocal => f.write_str("the remote address is one of our own"),
            Self::DuplicateAddresses { host, link } => {
                write!(f, "the addresses are those of link {link} to host {host}")
            }
            Self::SharedNetwork { link, network, interface } => write!(
                f,
                "it shares a network with link {link} ({network}, {interface}): one failure takes \
                 down both"
            ),
            Self::WrongHostId { remote, planned, host } => write!(
                f,
                "{remote} says that it is host {host}: correct --id there, or host {planned} in this \
                 plan"
            ),
            Self::WrongLinkId { remote, planned, link } => write!(
                f,
                "{remote} sends link {link} where link {planned} is planned: list the links in the \
                 same order on both sides"
            ),
            Self::WrongPort { host, remote } => write!(
                f,
                "host {host} sends from another port of {}, and nothing listens on {remote}: correct \
                 one of the two plans",
                remote.ip()
            ),
            Self::WrongAddress { host, remote, source } => write!(
                f,
                "host {host} sends from {source}, and nothing from {remote} arrives: correct its \
                 address in this plan, or its local address there"
            ),
            Self::TwoAddresses { host, remote, source } => write!(
                f,
                "host {host} sends from {source} too, not only from {remote}: do two machines have \
                 its id?"
            ),
            Self::ConnectionRefused(remote) => write!(
                f,
                "the peer's port is closed: nothing listens on {remote}; is the other side running, \
                 with this address and port?"
            ),
            Self::HostUnreachable { remote, why } => write!(
                f,
                "packets to {remote} cannot be delivered: {why}; is that machine running, and in \
                 that network?"
            ),
            Self::OneWay { host } => write!(
                f,
                "pings from host {host} arrive here but ours are not answered: a firewall passes \
                 packets in one direction only, or host {host} has a different address, port or id \
                 for us"
            ),
            Self::InboundLost { host } => write!(
                f,
                "our pings arrive at host {host} but nothing from it arrives here: look for a \
                 firewall on this side, and at the address and port that host {host} has for us"
            ),
            Self::NoAnswer { host, remote } => write!(
                f,
                "no answer from {remote}, and no ping from host {host}: host {host} is not running, \
                 or a cable, a switch or a firewall blocks everything"
            ),
            Self::TooFewPongs { sent, answered } => {
                write!(
                    f,
                    "the link does not come up: only {answered} of {sent} pings were answered"
                )
            }
            Self::LinkWentDown(why) => write!(f, "the link went down during the test: {why}"),
            Self::PingLoss { sent, answered } => {
                let percent = lost_percent(*sent, *answered);
                write!(f, "{percent:.0} % loss: {answered} of {sent} pings were answered")
            }
            Self::PeerSendsNoPings { host } => write!(
                f,
                "host {host} answers our pings but sends none: is the link enabled there?"
            ),
            Self::MtuUnknown => f.write_str("the path MTU could not be determined in time"),
            Self::MtuBelow1500 { path, data } => write!(
                f,
                "path MTU {path} is below {ETHERNET}: is there a tunnel on the path? Messages are \
                 split into fragments of {data} bytes"
            ),
            Self::MtuBelowInterface { path, interface, mtu } => write!(
                f,
                "path MTU {path} is below the MTU {mtu} of {interface}: something on the path \
                 limits the packet size"
            ),
            Self::PeerReportsDown { host } => {
                write!(f, "host {host} reports the link as down: our answers do not arrive there")
            }
            Self::PeerReportsLoss { host, sent, answered } => {
                let percent = lost_percent(*sent, *answered);
                write!(
                    f,
                    "host {host} reports {percent:.0} % loss: {answered} of {sent} pings were answered"
                )
            }
            Self::MtuMismatch { host, here, there } => {
                write!(f, "the path MTU is {here} from here, but {there} from host {host}")
            }
            Self::LinkUnknownToPeer { host } => {
                write!(f, "host {host} does not have this link in its plan")
            }
            Self::VersionMismatch { host } => {
                write!(f, "host {host} runs an incompatible version of knet check")
            }
            Self::NoReportFromPeer { host } => {
                write!(f, "host {host} has not sent its report: does it run knet check?")
            }
            Self::UnknownHostId(n) => write!(
                f,
                "{n} packets came from host ids that are not in the plan: is --id correct on the \
                 other hosts?"
            ),
            Self::UnknownLinkId(n) => write!(
                f,
                "{n} packets were for links that are not in the plan: both sides must list the \
                 same links, in the same order"
            ),
            Self::WrongSourceAddress(n) => write!(
                f,
                "{n} packets came from addresses that are not in the plan: compare the addresses \
                 and the order of links on both sides"
            ),
            Self::MalformedPackets(n) => {
                write!(f, "{n} packets were not of this protocol, or encrypted")
            }
        }
    }
}

/// Returns how many pings were not answered, in percent.
pub(crate) fn lost_percent(sent: u64, answered: u64) -> f64 {
    let lost = sent.saturating_sub(answered);
    if sent == 0 { 0.0 } else { lost as f64 * 100.0 / sent as f64 }
}

/// The loss in percent from which a link is at fault: less may be chance.
const FAULTY_LOSS: f64 = 5.0;
/// The usual MTU of a network without tunnels, in bytes.
pub(crate) const ETHERNET: usize = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_loss_is_a_warning_and_more_is_a_fault() {
        let lost = |answered| Finding::PingLoss { sent: 100, answered }.severity();
        assert_eq!([lost(99), lost(96)], [Severity::Warning; 2]);
        assert_eq!([lost(95), lost(0)], [Severity::Fault; 2]);
    }

    /// The codes are those of [`Finding::code`], read from this file so that none is forgotten.
    #[test]
    fn each_code_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, code) = include_str!("finding.rs").split_once("fn code(").unwrap();
        let (code, _) = code.split_once("\n    }\n").unwrap();
        let codes: Vec<&str> = code.split('"').skip(1).step_by(2).collect();
        assert!(codes.contains(&"no-route"), "{codes:?}");
        for code in codes {
            assert!(page.contains(&format!("`{code}`")), "{code} is not documented");
        }
    }

    #[test]
    fn more_answers_than_pings_are_no_loss() {
        assert_eq!(lost_percent(10, 12), 0.0);
        assert_eq!(lost_percent(0, 0), 0.0);
        assert_eq!(lost_percent(200, 150), 25.0);
    }
}
