//! A host in a process of its own, which can be killed and measured: `netns-host OWN PEER LOCAL
//! REMOTE INTERVAL TIMEOUT`, with two host ids, the addresses of the only link and its ping timers
//! in ms.
//!
//! It sends every message back. For each line on standard input it prints what the handle has done
//! so far: processor time in µs, wake-ups of its threads, attempted pings, data packets. It ends with
//! its input.

#![allow(clippy::unwrap_used, reason = "a host that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "that is how it reports")]

use std::thread;
use std::time::Duration;

use knet_tests::cluster::{exactly, watch};
use knet_tests::process::{cpu_time, knet_threads, times_slept};
use kronosnet::{Datafd, DatafdSource, Handle, HostId, Link, MAX_MESSAGE, PingTimers};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [own, peer, local, remote, interval, timeout] = arguments.as_slice() else {
        panic!("6 arguments, not {arguments:?}")
    };
    let [interval, timeout] =
        [interval, timeout].map(|ms| Duration::from_millis(ms.parse().unwrap()));
    let handle = Handle::new(HostId::new(own.parse().unwrap())).unwrap();
    // Opening a stream once enables the events.
    let _ = handle.datafd_events();
    let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
    handle.set_forwarding(true).unwrap();
    let timers = PingTimers { interval, timeout, ..PingTimers::default() };
    let ends = [local, remote].map(|address| address.parse().unwrap());
    let link = watch(&handle, peer.parse().unwrap(), 0, ends[0], ends[1], timers);
    thread::spawn(move || send_back(&datafd));
    for line in std::io::stdin().lines() {
        line.unwrap();
        report(&link);
    }
}

fn send_back(datafd: &Datafd) {
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let mut fds = [PollFd::new(datafd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        let length = datafd.recv(&mut buffer).unwrap();
        if let Err(error) = datafd.send(&buffer[..length]) {
            eprintln!("not sent back: {error}");
        }
    }
}

fn report(link: &Link) {
    let slept: u64 = knet_threads().into_iter().map(times_slept).sum();
    let stats = link.status().unwrap().stats;
    let pings = stats.tx_ping_packets + stats.tx_ping_errors;
    println!("{} {slept} {pings} {}", cpu_time().as_micros(), stats.tx_data_packets);
}
