//! Network namespaces without a name: each exists as long as something refers to it, so that
//! nothing is left behind, however a test ends.

use std::fs::{self, File};
use std::net::IpAddr;
use std::process::Command;
use std::{panic, process, thread};

use nix::sched::{CloneFlags, setns, unshare};
use std::os::fd::AsRawFd;

use crate::network::run;

/// A network of its own, like that of another machine: interfaces, addresses, routes and ports.
///
/// Only root can make one. Elsewhere the test panics and names what is missing: the suites that
/// need namespaces run only where they exist, and a skipped suite would prove nothing.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// Makes a namespace that has only a loopback interface, which is up.
    ///
    /// # Panics
    /// If this machine does not permit it.
    #[must_use]
    pub fn new() -> Self {
        // The thread's namespace outlives the thread as an open file.
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("network namespaces: run this as root");
            File::open("/proc/thread-self/ns/net").expect("/proc is there")
        };
        let namespace = Self { file: on_a_thread(make) };
        // Otherwise addresses need a second to be checked, and are lost when their interface goes down.
        namespace.set("ipv6/conf/default/accept_dad", 0);
        namespace.set("ipv6/conf/default/keep_addr_on_down", 1);
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs a function in the namespace: its sockets and the processes that it starts live there.
    ///
    /// # Panics
    /// If the function does.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("it is a namespace");
            work()
        })
    }

    /// Runs `ip` with these arguments, separated by single spaces, in the namespace.
    ///
    /// # Panics
    /// If it fails.
    pub fn ip(&self, arguments: &str) {
        let done = self.enter(|| run(Command::new("ip").args(arguments.split(' '))));
        assert_eq!(done, Ok(()), "ip {arguments}");
    }

    /// Writes a setting below `/proc/sys/net`.
    ///
    /// # Panics
    /// If there is no such setting.
    pub fn set(&self, name: &str, value: u32) {
        let written = self.enter(|| fs::write(format!("/proc/sys/net/{name}"), value.to_string()));
        assert!(written.is_ok(), "{name} = {value}: {written:?}");
    }

    /// Gives an interface an address.
    ///
    /// # Panics
    /// If there is no such interface.
    pub fn add_address(&self, interface: &str, address: IpAddr, prefix: u8) {
        self.ip(&format!("address add {address}/{prefix} dev {interface}"));
    }

    /// Returns the path by which `ip` finds the namespace.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd())
    }

    /// Connects this namespace to another by a pair of new interfaces, both up.
    ///
    /// # Panics
    /// If the names are taken.
    pub fn connect(&self, here: &str, there: &Namespace, peer: &str) {
        let netns = there.path();
        self.ip(&format!("link add {here} type veth peer name {peer} netns {netns}"));
        self.ip(&format!("link set {here} up"));
        there.ip(&format!("link set {peer} up"));
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a function on a thread of its own, so that a change of namespace affects nothing else.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| panic::resume_unwind(panic))
}
