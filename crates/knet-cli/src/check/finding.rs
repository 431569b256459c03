//! What can be wrong with a link or a plan, in words.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use kronosnet::{HostId, LinkId};

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    // The plan.
    NotLocal(IpAddr),
    NoRoute { remote: IpAddr, why: String },
    InterfaceOff(String),
    NoCarrier(String),
    ToOurselves,
    SameAddresses { host: HostId, link: LinkId },
    SameNetwork { link: LinkId, network: String, interface: String },
    // What was seen from here.
    Refused(SocketAddr),
    Unreachable { remote: IpAddr, why: String },
    OneWay { host: HostId },
    AnswersLost { host: HostId },
    Silent { host: HostId, remote: SocketAddr },
    TooFewAnswers { sent: u64, answered: u64 },
    WentDown(String),
    Lost { sent: u64, answered: u64 },
    NoPings { host: HostId },
    NoMtu,
    NarrowMtu { path: usize, data: usize },
    NarrowerThanInterface { path: usize, interface: String, mtu: usize },
    // What the peer says.
    DownThere { host: HostId },
    LostThere { host: HostId, sent: u64, answered: u64 },
    OtherMtuThere { host: HostId, here: usize, there: usize },
    NotPlannedThere { host: HostId },
    OtherVersion { host: HostId },
    NoResults { host: HostId },
    // Of no link in particular.
    StrangeHosts(u64),
    StrangeLinks(u64),
    StrangeAddresses(u64),
    StrangePackets(u64),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    /// The link does not do what it is there for.
    Fault,
    /// It works; somebody should look at it all the same.
    Warning,
}

impl Finding {
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::Lost { sent, answered } | Self::LostThere { sent, answered, .. }
                if lost_percent(*sent, *answered) < FAULTY_LOSS =>
            {
                Severity::Warning
            }
            Self::SameNetwork { .. }
            | Self::NoMtu
            | Self::NarrowMtu { .. }
            | Self::NarrowerThanInterface { .. }
            | Self::OtherMtuThere { .. }
            | Self::OtherVersion { .. }
            | Self::StrangeHosts(_)
            | Self::StrangeLinks(_)
            | Self::StrangeAddresses(_)
            | Self::StrangePackets(_) => Severity::Warning,
            _ => Severity::Fault,
        }
    }

    pub(crate) fn is_fault(&self) -> bool {
        self.severity() == Severity::Fault
    }

    /// A word for scripts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotLocal(_) => "not-local",
            Self::NoRoute { .. } => "no-route",
            Self::InterfaceOff(_) => "interface-off",
            Self::NoCarrier(_) => "no-carrier",
            Self::ToOurselves => "to-ourselves",
            Self::SameAddresses { .. } => "same-addresses",
            Self::SameNetwork { .. } => "same-network",
            Self::Refused(_) => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::OneWay { .. } => "one-way",
            Self::AnswersLost { .. } => "answers-lost",
            Self::Silent { .. } => "silent",
            Self::TooFewAnswers { .. } => "too-few-answers",
            Self::WentDown(_) => "went-down",
            Self::Lost { .. } => "loss",
            Self::NoPings { .. } => "no-pings",
            Self::NoMtu => "no-mtu",
            Self::NarrowMtu { .. } => "narrow-mtu",
            Self::NarrowerThanInterface { .. } => "narrower-than-interface",
            Self::DownThere { .. } => "down-there",
            Self::LostThere { .. } => "loss-there",
            Self::OtherMtuThere { .. } => "other-mtu-there",
            Self::NotPlannedThere { .. } => "not-planned-there",
            Self::OtherVersion { .. } => "other-version",
            Self::NoResults { .. } => "no-results",
            Self::StrangeHosts(_) => "strange-hosts",
            Self::StrangeLinks(_) => "strange-links",
            Self::StrangeAddresses(_) => "strange-addresses",
            Self::StrangePackets(_) => "strange-packets",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLocal(ip) => {
                write!(f, "{ip} is not an address of this machine: a typo, or not configured yet?")
            }
            Self::NoRoute { remote, why } => {
                write!(f, "this machine knows no way to {remote}: {why}")
            }
            Self::InterfaceOff(name) => write!(f, "{name} is switched off: ip link set {name} up"),
            Self::NoCarrier(name) => write!(f, "{name} has no carrier: is its cable plugged in?"),
            Self::ToOurselves => f.write_str("it leads to an address of our own"),
            Self::SameAddresses { host, link } => {
                write!(f, "it has the same addresses as link {link} to host {host}")
            }
            Self::SameNetwork { link, network, interface } => write!(
                f,
                "it uses the same network as link {link} ({network}, {interface}): one failure \
                 takes both"
            ),
            Self::Refused(remote) => write!(
                f,
                "the peer's port refuses packets: nothing listens at {remote}; is the other side \
                 running, with this address and port?"
            ),
            Self::Unreachable { remote, why } => write!(
                f,
                "packets to {remote} cannot be delivered: {why}; is that machine on, and in that \
                 network?"
            ),
            Self::OneWay { host } => write!(
                f,
                "pings of host {host} arrive here but ours are not answered: a firewall lets \
                 packets through one way only, or host {host} has another address or id for us"
            ),
            Self::AnswersLost { host } => write!(
                f,
                "our pings arrive at host {host} but nothing of it arrives here: look for a \
                 firewall on this side"
            ),
            Self::Silent { host, remote } => write!(
                f,
                "no answer from {remote}, and no ping of host {host}: host {host} is not there, \
                 or a cable, a switch or a firewall keeps everything back"
            ),
            Self::TooFewAnswers { sent, answered } => {
                write!(f, "it does not come up: only {answered} of {sent} pings were answered")
            }
            Self::WentDown(why) => write!(f, "it went down while it was tested: {why}"),
            Self::Lost { sent, answered } => {
                let percent = lost_percent(*sent, *answered);
                write!(f, "{percent:.0} % loss: {answered} of {sent} pings were answered")
            }
            Self::NoPings { host } => write!(
                f,
                "host {host} answers our pings but sends none: the link is not enabled there"
            ),
            Self::NoMtu => f.write_str("the path MTU could not be found out in time"),
            Self::NarrowMtu { path, data } => write!(
                f,
                "path MTU {path} is below {ETHERNET}: a tunnel on the way? Messages are cut into \
                 pieces of {data} bytes"
            ),
            Self::NarrowerThanInterface { path, interface, mtu } => write!(
                f,
                "path MTU {path} is below the {mtu} of {interface}: something on the way takes \
                 shorter packets only"
            ),
            Self::DownThere { host } => {
                write!(f, "host {host} calls the link down: our answers do not get there")
            }
            Self::LostThere { host, sent, answered } => {
                let percent = lost_percent(*sent, *answered);
                write!(f, "host {host} sees {percent:.0} % loss: {answered} of {sent} answered")
            }
            Self::OtherMtuThere { host, here, there } => {
                write!(f, "path MTU {here} from here, but {there} from host {host}")
            }
            Self::NotPlannedThere { host } => write!(f, "host {host} does not know this link"),
            Self::OtherVersion { host } => {
                write!(f, "host {host} runs a knet check that this one does not understand")
            }
            Self::NoResults { host } => {
                write!(f, "host {host} has not sent its results: does it run knet check?")
            }
            Self::StrangeHosts(n) => write!(
                f,
                "{n} packets came from host ids that are not in the plan: is --id right there?"
            ),
            Self::StrangeLinks(n) => write!(
                f,
                "{n} packets were for links that are not in the plan: both sides must name the \
                 same links, in the same order"
            ),
            Self::StrangeAddresses(n) => write!(
                f,
                "{n} packets came from other addresses than planned: compare the addresses and \
                 the order of links on both sides"
            ),
            Self::StrangePackets(n) => {
                write!(f, "{n} packets were not of this protocol, or encrypted")
            }
        }
    }
}

/// How much of what was sent is missing, in percent.
pub(crate) fn lost_percent(sent: u64, answered: u64) -> f64 {
    let lost = sent.saturating_sub(answered);
    if sent == 0 { 0.0 } else { lost as f64 * 100.0 / sent as f64 }
}

/// From how much loss on a link is at fault, in percent: less may be chance.
const FAULTY_LOSS: f64 = 5.0;
/// The MTU that a network without tunnels has, in bytes.
pub(crate) const ETHERNET: usize = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_loss_is_a_warning_and_more_is_a_fault() {
        let lost = |answered| Finding::Lost { sent: 100, answered }.severity();
        assert_eq!([lost(99), lost(96)], [Severity::Warning; 2]);
        assert_eq!([lost(95), lost(0)], [Severity::Fault; 2]);
    }

    #[test]
    fn more_answers_than_pings_are_no_loss() {
        assert_eq!(lost_percent(10, 12), 0.0);
        assert_eq!(lost_percent(0, 0), 0.0);
        assert_eq!(lost_percent(200, 150), 25.0);
    }
}
