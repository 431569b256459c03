//! System calls per message, counted in separate runs, as counting slows programs down.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::measure::{Programs, plan, report};
use super::scenario::{Arm, Place, Scenario};

/// The system calls of an arm per message.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) title: String,
    pub(super) arm: &'static str,
    pub(super) per_message: f64,
}

/// Counts the system calls of each arm of the scenarios whose messages go one way within one
/// process.
pub(super) fn count(programs: &Programs, scenarios: &[Scenario]) -> Result<Vec<Count>> {
    let tool = Tool::find()?;
    let mut counts = Vec::new();
    for scenario in scenarios.iter().filter(|scenario| scenario.name.starts_with("tput-")) {
        for arm in scenario.arms.iter().filter(|arm| arm.place == Place::OneProcess) {
            let per_message = per_message(programs, tool, arm)?;
            counts.push(Count { title: scenario.title.clone(), arm: arm.label, per_message });
        }
    }
    Ok(counts)
}

/// Returns the difference between a longer and a shorter run per message, which cancels the set-up.
fn per_message(programs: &Programs, tool: Tool, arm: &Arm) -> Result<f64> {
    let (few, many) = (arm.count / 20, arm.count / 4);
    let calls = |count| tool.calls(&programs.path(arm.subject), &plan(arm, count));
    let more = calls(many)?.saturating_sub(calls(few)?);
    // A tenth as many messages precede them as a warm-up.
    Ok(more as f64 / ((many - few) as f64 * 1.1))
}

/// A counter of system calls.
#[derive(Clone, Copy, Debug)]
enum Tool {
    /// perf, which costs little.
    Perf,
    /// strace, which stops the process at each call, so that batches become larger.
    Strace,
}

impl Tool {
    /// Returns the best tool that works here.
    fn find() -> Result<Self> {
        for tool in [Self::Perf, Self::Strace] {
            if tool.calls(Path::new("true"), &[]).is_ok() {
                return Ok(tool);
            }
        }
        bail!(
            "neither perf nor strace can count system calls here: install one of them, and run as root"
        )
    }

    /// Returns how many system calls a run of the program makes.
    fn calls(self, program: &Path, arguments: &[String]) -> Result<u64> {
        let file = tempfile_path();
        let mut command = match self {
            Self::Perf => {
                let mut command = Command::new("perf");
                command.args(["stat", "--field-separator=,", "--event=raw_syscalls:sys_enter"]);
                command.arg("--output").arg(&file).arg("--");
                command
            }
            Self::Strace => {
                let mut command = Command::new("strace");
                command.args(["--follow-forks", "--summary-only", "--output"]).arg(&file);
                command
            }
        };
        command.arg(program).args(arguments);
        if arguments.is_empty() {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            ensure!(status.success(), "{command:?} failed");
        } else {
            report(command)?;
        }
        let text = std::fs::read_to_string(&file)?;
        std::fs::remove_file(&file)?;
        let calls = match self {
            Self::Perf => calls_of_perf(&text),
            Self::Strace => calls_of_strace(&text),
        };
        calls.with_context(|| format!("no count in: {text}"))
    }
}

fn tempfile_path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("knet-bench-syscalls-{}", std::process::id()))
}

/// Reads the count from a line such as `29,,raw_syscalls:sys_enter,1290452,100.00,,`.
fn calls_of_perf(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("raw_syscalls:sys_enter"))?;
    line.split(',').next()?.trim().parse().ok()
}

/// Reads the count from the last line, such as `100.00    0.000000           0        29         1
/// total`.
fn calls_of_strace(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Returns the counts as a table.
pub(super) fn markdown(counts: &[Count]) -> String {
    let mut text = String::from("| work | of | system calls per message |\n|---|---|---|\n");
    for Count { title, arm, per_message } in counts {
        text += &format!("| {title} | {arm} | {per_message:.3} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_the_output_of_the_tools() {
        let perf = "# started on Mon\n\n1234,,raw_syscalls:sys_enter,99,100.00,,\n";
        assert_eq!(calls_of_perf(perf), Some(1234));
        assert_eq!(calls_of_perf("<not supported>,,raw_syscalls:sys_enter,0,0.00,,"), None);
        let strace = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
100.00    0.000000           0        29         1 total
";
        assert_eq!(calls_of_strace(strace), Some(29));
    }
}
