//! This process as seen from outside: its descriptors, its threads, its memory and the processor
//! time it takes. A test that counts one of them must run alone: see the suite `resources`.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Returns the numbers of all open descriptors.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn open_fds() -> BTreeSet<RawFd> {
    let mut fds: BTreeSet<RawFd> = numbers(Path::new("/proc/self/fd"));
    // The descriptor that read the folder is among them, and closed by now.
    fds.retain(|fd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok());
    fds
}

/// Returns the running threads of handles.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn knet_threads() -> BTreeSet<i32> {
    let mut threads = numbers(Path::new("/proc/self/task"));
    threads.retain(|thread| {
        // A thread that has ended in the meantime has no name.
        let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
        name.is_ok_and(|name| name.starts_with("knet-"))
    });
    threads
}

/// Returns how many times a thread has gone to sleep; each wake-up ends in that.
///
/// # Panics
/// If there is no such thread.
#[must_use]
pub fn times_slept(thread: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
    let status = status.expect("the thread runs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("Linux counts them")
}

/// Returns the resident memory of this process, in bytes.
///
/// # Panics
/// Never on Linux.
#[must_use]
pub fn resident_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("Linux counts them") * 1024
}

/// Returns the processor time that the whole process has used.
///
/// # Panics
/// Never on Linux.
#[must_use]
pub fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("Linux has it");
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(micros).expect("time used is positive"))
        })
        .sum()
}

/// Returns how many sources all pollers of this process watch, their own wakers included.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn watched_sources() -> usize {
    let of = |fd: RawFd| fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let watched = |info: String| info.lines().filter(|line| line.starts_with("tfd:")).count();
    open_fds().into_iter().map(of).map(watched).sum()
}

/// Returns the processor time that the threads of this name have used.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn cpu_time_of(name: &str) -> Duration {
    let used = |thread: &i32| {
        let of = |file| fs::read_to_string(format!("/proc/self/task/{thread}/{file}"));
        let is_it = of("comm").is_ok_and(|comm| comm.trim() == name);
        let nanos = of("schedstat").ok()?.split_whitespace().next()?.parse().ok()?;
        is_it.then(|| Duration::from_nanos(nanos))
    };
    numbers(Path::new("/proc/self/task")).iter().filter_map(used).sum()
}

/// Returns `true` if the threads of this name, at least one, wait for events of a poller (`epoll_wait(2)`). None of
/// them has been woken then.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn waits_for_events(name: &str) -> bool {
    let call = |thread: &i32| {
        let of = |file| fs::read_to_string(format!("/proc/self/task/{thread}/{file}"));
        let is_it = of("comm").is_ok_and(|comm| comm.trim() == name);
        // "running", or the number of the system call and its arguments.
        is_it.then(|| of("syscall").ok()?.split(' ').next()?.parse().ok())
    };
    let calls: Vec<Option<i64>> =
        numbers(Path::new("/proc/self/task")).iter().filter_map(call).collect();
    !calls.is_empty() && calls.iter().all(|call| call.is_some_and(|it| EPOLL_WAIT.contains(&it)))
}

/// The numbers of `epoll_wait` and its variants.
const EPOLL_WAIT: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    nix::libc::SYS_epoll_wait,
    nix::libc::SYS_epoll_pwait,
];

/// Returns the descriptor of the UDP socket that this process has bound to a port.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn fd_of_udp_port(port: u16) -> RawFd {
    let port = format!(":{port:04X}");
    let tables = ["udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/self/net/{table}")));
    let lines: Vec<String> =
        tables.iter().flatten().flat_map(|table| table.lines().map(str::to_owned)).collect();
    let fields = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_port = |fields: &Vec<&str>| fields.get(1).is_some_and(|local| local.ends_with(&port));
    let inodes: Vec<String> = fields
        .filter(of_port)
        .filter_map(|fields| Some(format!("socket:[{}]", fields.get(9)?)))
        .collect();
    let is_it = |fd: &RawFd| {
        let link = fs::read_link(format!("/proc/self/fd/{fd}"));
        link.is_ok_and(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
    };
    open_fds().into_iter().find(is_it).expect("a socket with this port")
}

fn numbers(folder: &Path) -> BTreeSet<i32> {
    fs::read_dir(folder)
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}
