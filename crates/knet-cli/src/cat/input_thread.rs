//! The thread that splits standard input into messages and sends them.

use std::io::{self, BufRead, BufReader};
use std::thread;
use std::time::Duration;

use crate::cat::cluster::Cluster;
use crate::cat::event::{Event, Events};
use crate::cat::flow_control::FlowControl;
use crate::cat::framing::{Framing, InputError, Messages};
use crate::process::exit::Usage;
use crate::process::stdio::Input;

/// Starts reading. The thread is never joined, because it may block in a read until the process
/// ends.
///
/// # Errors
/// An error of the kernel if it refuses a thread.
pub(crate) fn start(cluster: Cluster, framing: Framing, events: Events) -> io::Result<()> {
    // The buffer of `io::stdin()` is smaller than the longest message.
    let messages = Messages::new(BufReader::with_capacity(BUFFER, Input), framing);
    thread::Builder::new().name("input".into()).spawn(move || {
        let _ = events.send(Event::InputEnded(send_all(messages, &cluster)));
    })?;
    Ok(())
}

fn send_all(mut messages: Messages<impl BufRead>, cluster: &Cluster) -> anyhow::Result<()> {
    let mut flow = FlowControl::default();
    while let Some(message) = messages.next().map_err(classify)? {
        let data_mtu = cluster.handle.data_mtu();
        while !cluster.all_return_credit() && !flow.admit(message.len(), data_mtu) {
            cluster.settle()?;
            flow.settled();
            // PAUSE: nothing reports how fast the peers' applications read.
            thread::sleep(READ_DELAY);
        }
        cluster.send(message)?;
    }
    cluster.finish()
}

/// Turns a line that is too long into a usage error. A failed read stays a failure.
fn classify(error: InputError) -> anyhow::Error {
    match error {
        InputError::LineTooLong { .. } => Usage(error.to_string()).into(),
        InputError::Read(_) => error.into(),
    }
}

/// How long the peers' applications may take to read from their datafds what has arrived there.
/// Nothing reports that they have.
const READ_DELAY: Duration = Duration::from_millis(5);
const BUFFER: usize = 64 * 1024;
