//! What two processes say to each other before a run: their role and what of the plan has to be equal.

use crate::error::BenchError;
use crate::plan::{Mode, Plan};

/// The first message of a process.
///
/// It is text, so that each version understands at least which version sent it:
/// `knet-bench 1 role=send mode=throughput size=1024 count=200000 window=64`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Greeting {
    fields: Vec<(String, String)>,
}

/// What a process does in a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Send,
    Receive,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "recv",
        }
    }
}

impl Greeting {
    /// The most bytes that a greeting has.
    pub(crate) const MAX_LEN: usize = 512;

    pub(crate) fn new(plan: &Plan, role: Role) -> Self {
        let mode = match plan.mode {
            Mode::Throughput => "throughput",
            Mode::Latency => "latency",
            Mode::Idle => "idle",
            Mode::Create => "create",
        };
        let fields = [
            ("role", role.name().to_owned()),
            ("mode", mode.to_owned()),
            ("size", plan.size.to_string()),
            ("count", plan.count.to_string()),
            ("window", plan.window.to_string()),
        ];
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let fields = self.fields.iter().map(|(name, value)| format!(" {name}={value}"));
        (VERSION.to_owned() + &fields.collect::<String>()).into_bytes()
    }

    /// Returns `true` for a greeting of any version.
    pub(crate) fn is_one(message: &[u8]) -> bool {
        message.starts_with(NAME.as_bytes()) || message == OLD
    }

    /// Decodes a greeting. Returns `None` if the message is none.
    ///
    /// # Errors
    /// [`BenchError::OtherVersion`].
    pub(crate) fn decode(message: &[u8]) -> Result<Option<Self>, BenchError> {
        if !Self::is_one(message) {
            return Ok(None);
        }
        let text = std::str::from_utf8(message).ok().and_then(|text| text.strip_prefix(VERSION));
        let fields = text.ok_or(BenchError::OtherVersion)?.split_whitespace();
        let fields = fields.filter_map(|field| field.split_once('='));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Some(Self { fields }))
    }

    /// Checks that the plan of the other process fits to this one.
    ///
    /// # Errors
    /// [`BenchError::SameRole`]; [`BenchError::PlanDiffers`].
    pub(crate) fn check(&self, role: Role, theirs: &Self) -> Result<(), BenchError> {
        if theirs.value("role") == Some(role.name()) {
            return Err(BenchError::SameRole { role: role.name() });
        }
        for name in ["mode", "size", "count", "window"] {
            let [ours, theirs] = [self, theirs].map(|greeting| greeting.value(name).unwrap_or("?"));
            if ours != theirs {
                let [ours, theirs] = [ours, theirs].map(str::to_owned);
                return Err(BenchError::PlanDiffers { name: option(name), ours, theirs });
            }
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }
}

/// Returns the option of a field.
fn option(name: &str) -> &'static str {
    match name {
        "mode" => "--mode",
        "size" => "--size",
        "count" => "--count",
        _ => "--window",
    }
}

const NAME: &str = "knet-bench ";
const VERSION: &str = "knet-bench 1";
/// What processes said before there was a version.
const OLD: &[u8] = b"hello";

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(role: Role) -> Greeting {
        Greeting::new(&Plan::default(), role)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let greeting = greeting(Role::Send);
        let message = greeting.encode();
        assert!(message.len() < Greeting::MAX_LEN && message.len() != 8);
        assert_eq!(Greeting::decode(&message).unwrap(), Some(greeting));
        assert_eq!(Greeting::decode(b"12345678").unwrap(), None);
    }

    #[test]
    fn each_difference_is_named() {
        let ours = greeting(Role::Send);
        ours.check(Role::Send, &greeting(Role::Receive)).unwrap();
        let error = ours.check(Role::Send, &ours).unwrap_err();
        assert!(matches!(error, BenchError::SameRole { role: "send" }), "{error}");
        let default = Plan::default();
        for (option, plan) in [
            ("--mode", Plan { mode: Mode::Latency, ..default.clone() }),
            ("--size", Plan { size: 64, ..default.clone() }),
            ("--count", Plan { count: 1, ..default.clone() }),
            ("--window", Plan { window: 1, ..default.clone() }),
        ] {
            let error = ours.check(Role::Send, &Greeting::new(&plan, Role::Receive)).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{option} is ")), "{error}");
        }
    }

    #[test]
    fn other_versions_are_recognized() {
        for message in [&b"hello"[..], b"knet-bench 2 role=send", b"knet-bench \xff"] {
            let error = Greeting::decode(message).unwrap_err();
            assert!(matches!(error, BenchError::OtherVersion), "{error}");
        }
    }
}
