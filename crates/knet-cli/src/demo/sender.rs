//! Host 1's side of the demo: streams the file, retransmits what was lost, and triggers the outage.

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
use crate::process::readiness::wait_readable;

/// What host 1 has sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Their SHA-256.
    pub(crate) sha256: String,
    /// Messages, without retransmissions.
    pub(crate) messages: u64,
    /// Retransmitted messages.
    pub(crate) retransmitted: u64,
    /// From the first message to the last acknowledgement.
    pub(crate) time: Duration,
}

/// Streams `file`, of `total` bytes, and lets the preferred link fail and recover meanwhile.
///
/// # Errors
/// Those of reading the file and of kronosnet; an error if there is no progress for
/// [`STALL_TIMEOUT`].
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
        stream.fill(&mut file).context("cannot read the file")?;
        let mut progress = stream.take_acknowledgements()?;
        stream.retransmit_if_due()?;
        report.progress(stream.arrived());
        report.check()?;
        let percent = if stream.is_done() { 100 } else { percent(stream.arrived(), total) };
        progress |= outage.advance(hosts, percent, report)?;
        if progress {
            last_progress = Instant::now();
        } else if last_progress.elapsed() > STALL_TIMEOUT {
            bail!(explain(&stream, outage));
        }
    }
    Ok(stream.finish())
}

/// Explains why there is no progress.
fn explain(stream: &Stream<'_>, outage: &Outage) -> String {
    if stream.is_done() {
        outage.missing()
    } else {
        let seconds = STALL_TIMEOUT.as_secs();
        format!("no acknowledgement for {seconds} s at byte {}", stream.arrived())
    }
}

/// The stream in progress.
struct Stream<'a> {
    data: &'a Datafd,
    acks: &'a Datafd,
    window: Window,
    digest: Sha256,
    bytes: u64,
    messages: u64,
    retransmitted: u64,
    start: Instant,
    /// When the last acknowledgement arrived that acknowledged anything new.
    end: Instant,
    /// When everything unacknowledged is retransmitted.
    retransmit_at: Instant,
    /// `true` once the end of the file has been sent.
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
            retransmitted: 0,
            start: now,
            end: now,
            retransmit_at: now + RETRANSMIT_AFTER,
            ended: false,
            buffer: vec![0; PIECE],
        }
    }

    /// Sends new pieces while the window has room.
    fn fill(&mut self, file: &mut impl Read) -> anyhow::Result<()> {
        while self.window.has_room() && !self.ended {
            let length = read_full(file, &mut self.buffer)?;
            let bytes = &self.buffer[..length];
            self.digest.update(bytes);
            self.bytes += length as u64;
            self.messages += 1;
            // An empty piece marks the end of the file.
            self.ended = bytes.is_empty();
            transmit(self.data, self.window.push(bytes))?;
        }
        Ok(())
    }

    /// Waits briefly for acknowledgements and processes them. Returns `true` if they acknowledged
    /// anything new.
    fn take_acknowledgements(&mut self) -> anyhow::Result<bool> {
        wait_readable(self.acks, TICK)?;
        let mut progress = false;
        let mut message = [0; Acknowledgement::LEN];
        loop {
            match self.acks.recv(&mut message) {
                Ok(length) => {
                    let ack = Acknowledgement::decode(&message[..length]);
                    progress |= ack.is_some_and(|ack| self.window.acknowledge(ack));
                }
                Err(Error::WouldBlock(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if progress {
            self.end = Instant::now();
            self.retransmit_at = self.end + RETRANSMIT_AFTER;
        }
        Ok(progress)
    }

    /// Retransmits everything unacknowledged if nothing was acknowledged for a while (go-back-N).
    fn retransmit_if_due(&mut self) -> anyhow::Result<()> {
        if Instant::now() < self.retransmit_at {
            return Ok(());
        }
        for message in self.window.messages() {
            transmit(self.data, message)?;
            self.retransmitted += 1;
        }
        self.retransmit_at = Instant::now() + RETRANSMIT_AFTER;
        Ok(())
    }

    /// Returns `true` once the whole file has been acknowledged.
    fn is_done(&self) -> bool {
        self.ended && self.window.is_empty()
    }

    /// Returns how many bytes of the file have been acknowledged.
    fn arrived(&self) -> u64 {
        // The end of the file occupies a position too.
        self.window.acknowledged().min(self.bytes)
    }

    fn finish(self) -> Sent {
        Sent {
            bytes: self.bytes,
            sha256: format!("{:x}", self.digest.finalize()),
            messages: self.messages,
            retransmitted: self.retransmitted,
            time: self.end - self.start,
        }
    }
}

/// Sends a message. Ignores that no link is up: the message is retransmitted like a lost one.
fn transmit(data: &Datafd, message: &[u8]) -> Result<(), Error> {
    match data.send(message) {
        Ok(_) | Err(Error::NoReachableHost { .. } | Error::NotSent { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads until `buffer` is full or the file ends. Returns the number of bytes read.
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

/// Bytes of the file per message.
const PIECE: usize = 16 * 1024;
/// How long to wait for an acknowledgement before retransmitting: many round trips on one machine.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(30);
/// How long to wait for acknowledgements at a time.
const TICK: Duration = Duration::from_millis(5);
/// How long there may be no progress. A link that fails silently goes down some seconds earlier.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

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
