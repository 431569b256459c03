//! Two network namespaces with a veth pair between them. Needs root.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Two namespaces, which are deleted with the pair when this is dropped.
#[derive(Debug)]
pub(super) struct Namespaces {
    names: [String; 2],
}

impl Namespaces {
    /// The addresses of the two ends of a link, one in each namespace.
    pub(super) const ADDRESSES: [&str; 2] = ["10.77.0.1:5405", "10.77.0.2:5405"];

    /// Makes both namespaces and the pair.
    pub(super) fn new() -> Result<Self> {
        let names = ["a", "b"].map(|end| format!("knet-bench-{}-{end}", std::process::id()));
        let namespaces = Self { names };
        let [a, b] = &namespaces.names;
        ip(&format!("netns add {a}"))?;
        ip(&format!("netns add {b}"))?;
        ip(&format!("link add knet0 netns {a} mtu 1500 type veth peer name knet0 netns {b}"))?;
        for (name, host) in [(a, 1), (b, 2)] {
            // The MTU of a pair is set at each end.
            ip(&format!("-n {name} link set knet0 mtu 1500"))?;
            ip(&format!("-n {name} addr add 10.77.0.{host}/24 dev knet0"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set knet0 up"))?;
        }
        Ok(namespaces)
    }

    /// Returns the prefix that runs a command inside each namespace.
    pub(super) fn prefixes(&self) -> [Vec<String>; 2] {
        let inside = |name| ["ip", "netns", "exec", name].map(str::to_owned).to_vec();
        [inside(&self.names[0]), inside(&self.names[1])]
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            // A namespace that was never made cannot be deleted.
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
