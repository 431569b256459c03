//! Measures the CPU time, memory and wake-ups of this process.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::error::BenchError;

/// Wall-clock and CPU time of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// CPU time of all threads of this process, user and kernel.
    pub(crate) cpu: Duration,
}

/// Measures wall-clock and CPU time.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    cpu: Duration,
}

impl Meter {
    pub(crate) fn start() -> Result<Self, BenchError> {
        Ok(Self { start: Instant::now(), cpu: cpu_time()? })
    }

    pub(crate) fn stop(&self) -> Result<Cost, BenchError> {
        let elapsed = self.start.elapsed();
        Ok(Cost { elapsed, cpu: cpu_time()?.saturating_sub(self.cpu) })
    }
}

fn cpu_time() -> Result<Duration, BenchError> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(BenchError::failed("getrusage"))?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

/// Converts a CPU time, which is never negative.
fn duration(time: TimeVal) -> Duration {
    Duration::from_secs(time.tv_sec().unsigned_abs())
        + Duration::from_micros(time.tv_usec().unsigned_abs())
}

/// Returns the resident memory of this process in bytes
/// ([proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)).
pub(crate) fn resident_bytes() -> Result<u64, BenchError> {
    let operation = "reading /proc/self/status";
    let status = fs::read_to_string("/proc/self/status").map_err(BenchError::failed(operation))?;
    let kibibytes = number_in(&status, "VmRSS:");
    Ok(kibibytes.ok_or_else(|| BenchError::failed(operation)("there is no VmRSS"))? * 1024)
}

/// Returns how often the threads of this process, except for the calling one, have gone to sleep. Each
/// sleep requires a wake-up
/// ([proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)).
pub(crate) fn sleeps_of_other_threads() -> Result<u64, BenchError> {
    let operation = "reading /proc/self/task";
    let own = nix::unistd::gettid().to_string();
    let mut sleeps = 0;
    for task in fs::read_dir("/proc/self/task").map_err(BenchError::failed(operation))? {
        let task = task.map_err(BenchError::failed(operation))?;
        if task.file_name().to_str() == Some(&own) {
            continue;
        }
        // The thread may have ended since the directory was read.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        let missing = || BenchError::failed(operation)("there is no voluntary_ctxt_switches");
        sleeps += number_in(&status, "voluntary_ctxt_switches:").ok_or_else(missing)?;
    }
    Ok(sleeps)
}

fn number_in(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_the_process() {
        let status = "Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  12 kB\n";
        assert_eq!(number_in(status, "VmRSS:"), Some(12));
        assert_eq!(number_in(status, "VmSwap:"), None);
        assert!(resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn work_costs_cpu_time() {
        let meter = Meter::start().unwrap();
        let start = cpu_time().unwrap();
        let mut work = 0_u64;
        while cpu_time().unwrap() - start < Duration::from_millis(5) {
            work = std::hint::black_box(work + 1);
        }
        let cost = meter.stop().unwrap();
        assert!(cost.cpu >= Duration::from_millis(5), "{cost:?}");
    }

    #[test]
    fn a_thread_that_sleeps_is_counted() {
        let (wake, woken) = std::sync::mpsc::sync_channel::<()>(0);
        let (answer, answered) = std::sync::mpsc::sync_channel::<()>(0);
        let before = sleeps_of_other_threads().unwrap();
        let thread = std::thread::spawn(move || woken.iter().try_for_each(|()| answer.send(())));
        // In some rounds the other thread may still be awake.
        for _ in 0..1000 {
            wake.send(()).unwrap();
            answered.recv().unwrap();
        }
        assert!(sleeps_of_other_threads().unwrap() > before);
        drop((wake, answered));
        let _ = thread.join().unwrap();
    }
}
