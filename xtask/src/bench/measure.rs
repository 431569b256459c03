//! Runs of the measuring programs, and their reports.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
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

    /// Runs an arm once.
    pub(super) fn measure(&self, arm: &Arm, count: u64) -> Result<Outcome> {
        let program = self.path(arm.subject);
        let plan = plan(arm, count);
        match arm.place {
            Place::OneProcess => outcome(command(&program, &plan)),
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

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Report(Value),
    /// The measured program lost messages, for this reason. Only programs that are compared with ours
    /// report that; a loss of ours fails the run.
    Loss(String),
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
) -> Result<Outcome> {
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
    let sent = outcome(end(prefixes[0], "send", "1", format!("2:{one}={two}")));
    if idle {
        return sent;
    }
    // A sender fails too when its receiver has ended because messages were lost.
    let received = read(receiver.0.stdout.take(), &mut receiver);
    if let Ok(Outcome::Loss(_)) = received {
        return received;
    }
    let mut sent = sent?;
    if let (Outcome::Report(sent), Outcome::Report(received)) = (&mut sent, received?) {
        let cpu = "/cpu_seconds_per_million";
        let both = number(sent, cpu)? + number(&received, cpu)?;
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

fn read(output: Option<std::process::ChildStdout>, child: &mut Ended) -> Result<Outcome> {
    let text = std::io::read_to_string(output.context("the receiver has no output")?)?;
    let status = child.0.wait()?;
    parse(&text, status.success()).with_context(|| format!("the receiver failed: {status}"))
}

/// Runs a command that writes a report.
pub(super) fn report(command: Command) -> Result<Value> {
    match outcome(command)? {
        Outcome::Report(report) => Ok(report),
        Outcome::Loss(reason) => bail!("messages were lost: {reason}"),
    }
}

/// Runs a command that writes a report, or that messages were lost.
fn outcome(mut command: Command) -> Result<Outcome> {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text, output.status.success()).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{command:?} failed ({}): {errors}", output.status)
    })
}

/// Parses the output of a measuring program, which is JSON.
fn parse(text: &str, success: bool) -> Result<Outcome> {
    let value: Value = serde_json::from_str(text).context("its output is not JSON")?;
    let loss = value.get("loss").and_then(Value::as_str).map(str::to_owned);
    match loss {
        None if success => Ok(Outcome::Report(value)),
        Some(reason) if !success => Ok(Outcome::Loss(reason)),
        _ => bail!("its output and its exit code contradict each other"),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_loss_is_a_result_and_any_other_failure_is_none() {
        let report = parse("{\"messages\": 3}", true).unwrap();
        assert_eq!(report, Outcome::Report(json!({ "messages": 3 })));
        let loss = parse("{\"loss\": \"a duplicate\"}\n", false).unwrap();
        assert_eq!(loss, Outcome::Loss("a duplicate".to_owned()));
        for (text, success) in [("", false), ("", true), ("{}", false), ("{\"loss\": \"x\"}", true)]
        {
            assert!(parse(text, success).is_err(), "{text:?}");
        }
    }
}
