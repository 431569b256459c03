//! Scenarios: what is measured, and the targets.

mod list;
pub(super) use list::all;

/// Work that every arm does once per round.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// The name for `--only`.
    pub(super) name: &'static str,
    /// The title of the table.
    pub(super) title: String,
    pub(super) arms: Vec<Arm>,
    pub(super) rows: Vec<Row>,
}

/// One of the compared runs.
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

/// The measured program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    /// kronosnet: `knet`.
    Ours,
    /// The libknet of this machine: `libknet-peer`.
    Libknet,
    /// The same hops without a protocol: `knet-floor`.
    Floor,
}

/// The place of the two hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    OneProcess,
    /// The report is the sender's, with the CPU time of both.
    TwoProcesses,
    /// Linked by a veth pair with an MTU of 1500.
    TwoNamespaces,
}

/// A row of the table: a quantity, alone or as a ratio to another.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) of: Quantity,
    /// The quantity that it is compared with, if any.
    pub(super) to: Option<Quantity>,
    pub(super) target: Target,
}

/// A quantity in the reports of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity {
    pub(super) arm: &'static str,
    /// Its place in the report, as a JSON pointer.
    pub(super) pointer: &'static str,
    /// An arm whose value is subtracted first.
    pub(super) minus: Option<&'static str>,
    /// The factor that converts it to the unit.
    pub(super) scale: f64,
    pub(super) unit: &'static str,
}

/// The target of a value or a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// No target.
    None,
}

impl Target {
    /// Returns whether the target is reached, or `None` without a target.
    pub(super) fn is_reached(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(limit) => Some(value >= limit),
            Self::AtMost(limit) => Some(value <= limit),
            Self::None => None,
        }
    }
}

impl Subject {
    /// Returns the package and the program that measure it.
    pub(super) fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Ours => ("knet-cli", "knet"),
            Self::Libknet => ("libknet-peer", "libknet-peer"),
            Self::Floor => ("knet-floor", "knet-floor"),
        }
    }
}
