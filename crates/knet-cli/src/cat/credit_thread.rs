//! The thread that returns credit to the senders.

use std::io;
use std::thread::{self, JoinHandle};

use crate::cat::cluster::Cluster;

/// Starts returning credit as it becomes due, until [`Arrivals::close`](crate::cat::arrivals::Arrivals::close).
///
/// # Errors
/// An error of the kernel if it refuses a thread.
pub(crate) fn start(cluster: Cluster) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("credit".into()).spawn(move || {
        while let Some(notices) = cluster.arrivals.wait_until_due() {
            for notice in notices {
                cluster.notify(&notice);
            }
        }
    })
}
