//! `knet demo`: streams a file between two hosts in one process while a link fails.

pub(crate) mod args;
mod byte_count;
mod hosts;
mod message;
mod outage;
mod output;
mod receiver;
mod report;
mod sender;
mod table;
mod window;

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow, ensure};

use crate::demo::args::DemoArgs;
use crate::demo::byte_count::{Bytes, megabytes_per_second};
use crate::demo::hosts::{Hosts, PREFERRED, Side};
use crate::demo::outage::Outage;
use crate::demo::receiver::Received;
use crate::demo::report::Report;
use crate::demo::sender::Sent;
use crate::demo::table::{Counts, Row};
use crate::process::exit::Usage;

/// Runs the demo.
///
/// # Errors
/// An error if the file cannot be read, did not arrive unchanged, or the link did not fail and come
/// back.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let path = match &args.file {
        Some(path) => path.clone(),
        None => env::current_exe().context("cannot find the knet command's own file")?,
    };
    let (file, total) = open(&path)?;
    let report = Arc::new(Report::new(total));
    report.line(format_args!(
        "streaming {} ({}) from host 1 to host 2",
        path.display(),
        Bytes(total)
    ));
    let hosts = Hosts::connect(&report)?;
    let mut outage = Outage::new();
    let (sent, received) = stream(file, total, &hosts, &mut outage, &report)?;
    report.finish();
    let rows = rows(&hosts, &outage)?;
    report.line(format_args!("\n{}", table::draw(&rows)));
    summarize(&report, &sent, received)?;
    report.check()
}

/// Opens a regular file and returns its size in bytes: progress is a share of it, and anything else may
/// have no end.
fn open(path: &Path) -> anyhow::Result<(File, u64)> {
    let name = path.display();
    // Before it is opened, because opening a FIFO blocks until somebody writes to it.
    let metadata = path.metadata().with_context(|| format!("cannot read {name}"))?;
    if !metadata.is_file() {
        return Err(Usage(format!("cannot stream {name}: it is not a regular file")).into());
    }
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    Ok((file, metadata.len()))
}

/// Sends on this thread and receives on another until everything has arrived.
fn stream(
    file: File,
    total: u64,
    hosts: &Hosts,
    outage: &mut Outage,
    report: &Report,
) -> anyhow::Result<(Sent, Received)> {
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receiver::receive(&hosts.two.data, &hosts.two.acks));
        // A file that grows meanwhile has an end all the same.
        let sent = sender::send(file.take(total), total, hosts, outage, report);
        // Ends the receiver, whether the sender succeeded or not.
        hosts.two.data.clone().remove()?;
        let received = receiver.join().map_err(|_| anyhow!("the receiver panicked"))?;
        // If both failed, the receiver's error is the cause.
        let received = received?;
        Ok((sent?, received))
    })
}

/// Returns a row for each end of each link.
fn rows(hosts: &Hosts, outage: &Outage) -> Result<Vec<Row>, kronosnet::Error> {
    let mut rows = side(&hosts.one)?;
    rows.extend(side(&hosts.two)?);
    for row in &mut rows {
        if row.host == hosts.two.handle.host_id() && row.link == PREFERRED {
            row.counts = row.counts + outage.before().into();
        }
    }
    Ok(rows)
}

fn side(side: &Side) -> Result<Vec<Row>, kronosnet::Error> {
    let links = side.peer.links()?.into_iter();
    links
        .map(|id| {
            let link = side.peer.link(id)?;
            let status = link.status()?;
            Ok(Row {
                host: side.handle.host_id(),
                link: id,
                local: link.local_addr()?,
                remote: link.remote_addr()?,
                state: status.state,
                latency: status.latency,
                counts: Counts::from(&status.stats),
            })
        })
        .collect()
}

/// Prints the outcome. Fails if the file did not arrive unchanged.
fn summarize(report: &Report, sent: &Sent, received: Received) -> anyhow::Result<()> {
    let Sent { bytes, messages, retransmitted, time, .. } = *sent;
    let rate = megabytes_per_second(bytes, time);
    report.line(format_args!(
        "{} in {:.2} s, {rate}: {messages} messages, {retransmitted} of them retransmitted",
        Bytes(bytes),
        time.as_secs_f64(),
    ));
    let arrived = received.bytes;
    let sha256 = received.sha256();
    report.line(format_args!("sent      {}", sent.sha256));
    report.line(format_args!("received  {sha256}"));
    ensure!(
        sha256 == sent.sha256 && arrived == bytes,
        "the received data differs from what was sent: {arrived} of {bytes} bytes arrived"
    );
    report.line(format_args!("Both sides have the same SHA-256."));
    Ok(())
}
