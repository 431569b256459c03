//! What is measured, and what it is to reach: a list to read.

mod list;
pub(super) use list::all;

/// Work that every arm does once in each round.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// For `--only`.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: String,
    pub(super) arms: Vec<Arm>,
    pub(super) rows: Vec<Row>,
}

/// One of those that are compared.
#[derive(Clone, Debug)]
pub(super) struct Arm {
    pub(super) label: &'static str,
    pub(super) subject: Subject,
    pub(super) place: Place,
    /// How many messages, round trips or handles; fewer with `--quick`.
    pub(super) count: u64,
    /// The rest of the plan.
    pub(super) plan: String,
}

/// Which program is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    /// kronosnet: `knet`.
    Ours,
    /// The libknet of this machine: `libknet-peer`.
    Libknet,
    /// The same hops without a protocol: `knet-floor`.
    Floor,
}

/// Where the two hosts are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    OneProcess,
    /// The report is the sender's, with the CPU time of both.
    TwoProcesses,
    /// Linked by a veth pair with an MTU of 1500.
    TwoNamespaces,
}

/// A line of the table: a quantity, alone or as a ratio to another.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) of: Quantity,
    /// Compared with this; alone if none.
    pub(super) to: Option<Quantity>,
    pub(super) target: Target,
}

/// Something that is read from the reports of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity {
    pub(super) arm: &'static str,
    /// Where it is in the report, as a JSON pointer.
    pub(super) pointer: &'static str,
    /// Taken away first: the same of this arm.
    pub(super) minus: Option<&'static str>,
    /// What it is multiplied by to get the unit.
    pub(super) scale: f64,
    pub(super) unit: &'static str,
}

/// What a value, or a ratio, is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Only told.
    None,
}

impl Target {
    /// Whether it is reached; none if there is nothing to reach.
    pub(super) fn is_reached(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(limit) => Some(value >= limit),
            Self::AtMost(limit) => Some(value <= limit),
            Self::None => None,
        }
    }
}

impl Subject {
    /// The package and the program that it is measured by.
    pub(super) fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Ours => ("knet-cli", "knet"),
            Self::Libknet => ("libknet-peer", "libknet-peer"),
            Self::Floor => ("knet-floor", "knet-floor"),
        }
    }
}
