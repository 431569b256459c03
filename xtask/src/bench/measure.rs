//! Runs of the measuring programs, and their reports.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::cmd;

use super::namespaces::Namespaces;
use super::scenario::{Arm, Place, Subject};
use crate::workspace::Workspace;

/// The programs, built.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds the programs that measure these, in release mode.
    pub(super) fn build(workspace: &Workspace, subjects: &[Subject]) -> Result<Self> {
        let packages = subjects.iter().flat_map(|subject| ["--package", subject.program().0]);
        cmd!(workspace.shell(), "cargo build --release --locked {packages...}").run()?;
        Ok(Self { folder: workspace.target()?.join("release") })
    }

    pub(super) fn path(&self, subject: Subject) -> PathBuf {
        self.folder.join(subject.program().1)
    }

    /// Runs an arm once, and returns its report.
    pub(super) fn measure(&self, arm: &Arm, count: u64) -> Result<Value> {
        let program = self.path(arm.subject);
        let plan = plan(arm, count);
        match arm.place {
            Place::OneProcess => report(command(&program, &plan)),
            Place::TwoProcesses => {
                let [one, two] = free_addresses()?;
                pair(&program, &plan, [&one, &two], [&[], &[]])
            }
            Place::TwoNamespaces => {
                let namespaces = Namespaces::new()?;
                let [one, two] = Namespaces::ADDRESSES;
                let inside = namespaces.prefixes();
                pair(&program, &plan, [one, two], [&inside[0], &inside[1]])
            }
        }
    }
}

/// Returns the arguments of a run.
pub(super) fn plan(arm: &Arm, count: u64) -> Vec<String> {
    let mut plan = vec!["bench".to_owned(), "--json".to_owned(), format!("--count={count}")];
    plan.extend(arm.plan.split_whitespace().map(str::to_owned));
    plan
}

fn command(program: &Path, plan: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(plan);
    command
}

/// Runs both ends, each behind its prefix. The report is the sender's, with the CPU time of both.
fn pair(
    program: &Path,
    plan: &[String],
    addresses: [&str; 2],
    prefixes: [&[String]; 2],
) -> Result<Value> {
    let [one, two] = addresses;
    let end = |prefix: &[String], role: &str, id: &str, peer: String| {
        let mut words = prefix.to_vec();
        words.push(program.display().to_string());
        words.extend_from_slice(plan);
        words.extend(["--role", role, "--id", id, "--peer", &peer].map(str::to_owned));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    };
    let mut receiver = end(prefixes[1], "recv", "2", format!("1:{two}={one}"));
    // The peer of an idle handle is not waited for: it has to run for longer, and has no further
    // hosts.
    let idle = plan.iter().any(|word| word == "idle");
    if idle {
        receiver = Command::new(program);
        receiver.args(["bench", "--json", "--mode", "idle", "--seconds", "3600", "--role", "recv"]);
        receiver.args(["--id", "2", "--peer", &format!("1:{two}={one}")]);
    }
    receiver.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut receiver = Ended(receiver.spawn().context("failed to start the receiver")?);
    let mut sent = report(end(prefixes[0], "send", "1", format!("2:{one}={two}")))?;
    if !idle {
        let received = read(receiver.0.stdout.take(), &mut receiver)?;
        let cpu = "/cpu_seconds_per_million";
        let both = number(&sent, cpu)? + number(&received, cpu)?;
        if let Some(place) = sent.pointer_mut(cpu) {
            *place = both.into();
        }
    }
    Ok(sent)
}

/// A child that does not outlive its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(output: Option<std::process::ChildStdout>, child: &mut Ended) -> Result<Value> {
    let text = std::io::read_to_string(output.context("the receiver has no output")?)?;
    let status = child.0.wait()?;
    ensure!(status.success(), "the receiver failed: {status}");
    serde_json::from_str(&text).context("the receiver's report is not JSON")
}

/// Runs a command that writes a report.
pub(super) fn report(mut command: Command) -> Result<Value> {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({}): {errors}", output.status);
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} did not write JSON"))
}

/// Reads a number of a report.
pub(super) fn number(report: &Value, pointer: &str) -> Result<f64> {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.with_context(|| format!("the report has no {pointer}: {report}"))
}

/// Returns two unused UDP addresses. Another process may take one in the meantime; then the run
/// fails and reports that.
fn free_addresses() -> Result<[String; 2]> {
    let (one, two) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?.to_string(), two.local_addr()?.to_string()])
}
