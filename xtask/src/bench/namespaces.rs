//! Two network namespaces with a veth pair between them. Needs root.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// They are gone when this is dropped, and the pair with them.
#[derive(Debug)]
pub(super) struct Namespaces {
    names: [String; 2],
}

impl Namespaces {
    /// Where the two ends of a link are: one in each.
    pub(super) const ADDRESSES: [&str; 2] = ["10.77.0.1:5405", "10.77.0.2:5405"];

    /// Makes both.
    pub(super) fn new() -> Result<Self> {
        let names = ["a", "b"].map(|end| format!("knet-bench-{}-{end}", std::process::id()));
        let namespaces = Self { names };
        let [a, b] = &namespaces.names;
        ip(&format!("netns add {a}"))?;
        ip(&format!("netns add {b}"))?;
        ip(&format!("link add knet0 netns {a} mtu 1500 type veth peer name knet0 netns {b}"))?;
        for (name, host) in [(a, 1), (b, 2)] {
            // A link whose other end is not set up yet takes none of ours.
            ip(&format!("-n {name} link set knet0 mtu 1500"))?;
            ip(&format!("-n {name} addr add 10.77.0.{host}/24 dev knet0"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set knet0 up"))?;
        }
        Ok(namespaces)
    }

    /// What to put in front of a command to run it inside each.
    pub(super) fn prefixes(&self) -> [Vec<String>; 2] {
        let inside = |name| ["ip", "netns", "exec", name].map(str::to_owned).to_vec();
        [inside(&self.names[0]), inside(&self.names[1])]
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was never made cannot be deleted.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("running ip")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments} failed (it needs root): {}", errors.trim());
    Ok(())
}
