//! Host 1's side of the demo: streams the file, repeats what was lost, and has the link taken away.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kronosnet::{Datafd, Error};
use sha2::{Digest, Sha256};

use crate::demo::hosts::Hosts;
use crate::demo::message::Acknowledgement;
use crate::demo::outage::Outage;
use crate::demo::report::{Report, percent};
use crate::demo::window::Window;
use crate::readiness::wait_readable;

/// What host 1 has sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The SHA-256 of those.
    pub(crate) sha256: String,
    /// Messages, each counted once.
    pub(crate) messages: u64,
    /// Messages sent again.
    pub(crate) repeated: u64,
    /// From the first message to the last acknowledgement.
    pub(crate) time: Duration,
}

/// Streams `file`, of which `total` bytes are expected, and has the link taken away and given back.
///
/// # Errors
/// If the file cannot be read, a call to kronosnet fails, or nothing goes on for [`PATIENCE`].
pub(crate) fn send(
    mut file: impl Read,
    total: u64,
    hosts: &Hosts,
    outage: &mut Outage,
    report: &Report,
) -> anyhow::Result<Sent> {
    let mut stream = Stream::new(hosts);
    let mut last_progress = Instant::now();
    while !(stream.is_done() && outage.is_over()) {
        stream.fill(&mut file).context("reading the file")?;
        let mut progress = stream.take_acknowledgements()?;
        stream.repeat_if_due()?;
        report.progress(stream.arrived());
        let percent = if stream.is_done() { 100 } else { percent(stream.arrived(), total) };
        progress |= outage.advance(hosts, percent, report)?;
        if progress {
            last_progress = Instant::now();
        } else if last_progress.elapsed() > PATIENCE {
            bail!(explain(&stream, outage));
        }
    }
    Ok(stream.finish())
}

/// Why nothing goes on.
fn explain(stream: &Stream<'_>, outage: &Outage) -> String {
    if stream.is_done() {
        outage.missing()
    } else {
        let seconds = PATIENCE.as_secs();
        format!("no acknowledgement for {seconds} s at byte {}", stream.arrived())
    }
}

/// The stream on its way.
struct Stream<'a> {
    data: &'a Datafd,
    acks: &'a Datafd,
    window: Window,
    digest: Sha256,
    bytes: u64,
    messages: u64,
    repeated: u64,
    start: Instant,
    /// When the last acknowledgement came that was news.
    end: Instant,
    /// When everything that is not acknowledged is sent again.
    repeat_at: Instant,
    /// Whether the end of the file was sent.
    ended: bool,
    buffer: Vec<u8>,
}

impl<'a> Stream<'a> {
    fn new(hosts: &'a Hosts) -> Self {
        let now = Instant::now();
        Self {
            data: &hosts.one.data,
            acks: &hosts.one.acks,
            window: Window::default(),
            digest: Sha256::new(),
            bytes: 0,
            messages: 0,
            repeated: 0,
            start: now,
            end: now,
            repeat_at: now + REPEAT_AFTER,
            ended: false,
            buffer: vec![0; PIECE],
        }
    }

    /// Sends new pieces while there is room for them on the way.
    fn fill(&mut self, file: &mut impl Read) -> anyhow::Result<()> {
        while self.window.has_room() && !self.ended {
            let length = read_full(file, &mut self.buffer)?;
            let bytes = &self.buffer[..length];
            self.digest.update(bytes);
            self.bytes += length as u64;
            self.messages += 1;
            self.ended = bytes.is_empty();
            transmit(self.data, self.window.push(bytes))?;
        }
        Ok(())
    }

    /// Waits a moment for acknowledgements and takes those that came; whether they brought news.
    fn take_acknowledgements(&mut self) -> anyhow::Result<bool> {
        wait_readable(self.acks, TICK)?;
        let mut news = false;
        let mut message = [0; Acknowledgement::LEN];
        loop {
            match self.acks.recv(&mut message) {
                Ok(length) => {
                    let ack = Acknowledgement::decode(&message[..length]);
                    news |= ack.is_some_and(|ack| self.window.acknowledge(ack));
                }
                Err(Error::WouldBlock(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if news {
            self.end = Instant::now();
            self.repeat_at = self.end + REPEAT_AFTER;
        }
        Ok(news)
    }

    /// Goes back if nothing was acknowledged for a while.
    fn repeat_if_due(&mut self) -> anyhow::Result<()> {
        if Instant::now() < self.repeat_at {
            return Ok(());
        }
        for message in self.window.messages() {
            transmit(self.data, message)?;
            self.repeated += 1;
        }
        self.repeat_at = Instant::now() + REPEAT_AFTER;
        Ok(())
    }

    /// Whether all of the file has arrived.
    fn is_done(&self) -> bool {
        self.ended && self.window.is_empty()
    }

    /// How many bytes of the file have arrived.
    fn arrived(&self) -> u64 {
        // The end of the file has a position too.
        self.window.acknowledged().min(self.bytes)
    }

    fn finish(self) -> Sent {
        Sent {
            bytes: self.bytes,
            sha256: format!("{:x}", self.digest.finalize()),
            messages: self.messages,
            repeated: self.repeated,
            time: self.end - self.start,
        }
    }
}

/// Hands a message to the links. While no link is up it is as good as lost, and is repeated like
/// one.
fn transmit(data: &Datafd, message: &[u8]) -> Result<(), Error> {
    match data.send(message) {
        Ok(_) | Err(Error::HostDown { .. } | Error::Send { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fills `buffer` as far as the file goes, and says how far that is.
fn read_full(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// How many bytes of the file go into a message.
const PIECE: usize = 16 * 1024;
/// After how long without an acknowledgement everything is sent again: many round trips on one
/// machine.
const REPEAT_AFTER: Duration = Duration::from_millis(30);
/// How long to wait for acknowledgements at a time.
const TICK: Duration = Duration::from_millis(5);
/// How long nothing may go on. A link that dies without a sign is given up some seconds before.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_from_short_reads() {
        let mut file = b"ab".chain(&b"cde"[..]);
        let mut buffer = [0; 4];
        assert_eq!(read_full(&mut file, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"abcd");
        assert_eq!(read_full(&mut file, &mut buffer).unwrap(), 1);
        assert_eq!(read_full(&mut file, &mut buffer).unwrap(), 0);
    }
}
