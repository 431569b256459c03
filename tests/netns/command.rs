//! The command `knet` on real interfaces.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output};

use knet_tests::namespace::Namespace;

use crate::member::PORT;

/// Returns a command of `knet`, which `cargo xtask netns` has built next to this suite.
fn knet(arguments: &[&str]) -> Command {
    let suite = std::env::current_exe().unwrap();
    let path: PathBuf = suite.ancestors().nth(2).unwrap().join("knet");
    assert!(path.exists(), "{} is not built: run `cargo xtask netns`", path.display());
    let mut command = Command::new(path);
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs `knet check` on both hosts of a link. Returns what the first one reports.
fn check(hosts: [&Namespace; 2], ends: [SocketAddr; 2], wait: &str) -> Output {
    let [one, two] = ends;
    let peers = [format!("2:{one}={two}"), format!("1:{two}={one}")];
    let run = |id: &str, peer: &str| {
        let arguments = ["check", "--id", id, "--count", "10", "--wait", wait, "--peer", peer];
        knet(&arguments).output().unwrap()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| hosts[1].enter(|| run("2", &peers[1])));
        let output = hosts[0].enter(|| run("1", &peers[0]));
        other.join().unwrap();
        output
    })
}

fn text(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// A host with one address on two interfaces, of which `e1` leads to the other host. The address has a
/// label there.
struct Twice {
    one: Namespace,
    two: Namespace,
    nowhere: Namespace,
}

impl Twice {
    const ENDS: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(10, 15, 15, 50)),
        IpAddr::V4(std::net::Ipv4Addr::new(10, 15, 15, 51)),
    ];

    fn new() -> Self {
        let [one, two, nowhere] = [Namespace::new(), Namespace::new(), Namespace::new()];
        one.connect("e0", &nowhere, "p0");
        one.connect("e1", &two, "p1");
        let [here, there] = Self::ENDS;
        one.add_address("e0", here, 24);
        one.ip(&format!("address add {here}/24 dev e1 label e1:1"));
        two.add_address("p1", there, 24);
        one.ip(&format!("route add {there}/32 dev e1 src {here}"));
        Self { one, two, nowhere }
    }

    fn check(&self, wait: &str) -> Output {
        check([&self.one, &self.two], Self::ENDS.map(|ip| SocketAddr::new(ip, PORT)), wait)
    }
}

#[test]
fn check_looks_at_the_interface_of_the_route() {
    let hosts = Twice::new();
    hosts.nowhere.ip("link set p0 down");
    let output = hosts.check("60");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("carrier"), "{}", text(&output));
}

#[test]
fn check_names_the_interface_without_a_carrier() {
    let hosts = Twice::new();
    hosts.two.ip("link set p1 down");
    let output = hosts.check("2");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("e1 has no carrier"), "{}", text(&output));
}
