//! The thread that turns standard input into messages and sends them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use crate::cat::cluster::Cluster;
use crate::cat::event::{Event, Events};
use crate::cat::flow::Flow;
use crate::cat::messages::{Framing, InputError, Messages};
use crate::exit::Usage;

/// Starts reading. Nobody waits for the thread: it may be held up in a read for as long as the
/// process lives.
///
/// # Errors
/// If the kernel refuses a descriptor or a thread.
pub(crate) fn start(cluster: Cluster, framing: Framing, events: Events) -> io::Result<()> {
    // A buffer of our own, large enough for the longest message.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let messages = Messages::new(BufReader::with_capacity(BUFFER, stdin), framing);
    thread::Builder::new().name("input".into()).spawn(move || {
        let _ = events.send(Event::InputEnded(send_all(messages, &cluster)));
    })?;
    Ok(())
}

fn send_all(mut messages: Messages<impl BufRead>, cluster: &Cluster) -> anyhow::Result<()> {
    let mut flow = Flow::default();
    while let Some(message) = messages.next().map_err(sort)? {
        let data_mtu = cluster.handle.data_mtu();
        while !flow.admit(message.len(), data_mtu) {
            cluster.settle()?;
            flow.settled();
            // PAUSE: nobody tells how fast the peers' applications read.
            thread::sleep(REST);
        }
        cluster.send(message)?;
    }
    Ok(())
}

/// A line that is too long is the caller's mistake; a failed read is not.
fn sort(error: InputError) -> anyhow::Error {
    match error {
        InputError::LineTooLong { .. } => Usage(error.to_string()).into(),
        InputError::Read(_) => error.into(),
    }
}

/// A peer that has taken in a message has not read it from its datafd yet, and nothing tells us when
/// it has. It is given so long.
const REST: Duration = Duration::from_millis(5);
const BUFFER: usize = 64 * 1024;
