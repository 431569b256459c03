//! What a process has used of the machine.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::error::BenchError;

/// Time on the clock and on the CPUs, since the start of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// Of all threads of this process, user and kernel.
    pub(crate) cpu: Duration,
}

/// Runs both clocks.
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

/// A time used is never negative.
fn duration(time: TimeVal) -> Duration {
    Duration::from_secs(time.tv_sec().unsigned_abs())
        + Duration::from_micros(time.tv_usec().unsigned_abs())
}

/// How much memory of this process is resident, in bytes
/// ([proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)).
pub(crate) fn resident_bytes() -> Result<u64, BenchError> {
    let what = "reading /proc/self/status";
    let status = fs::read_to_string("/proc/self/status").map_err(BenchError::failed(what))?;
    let kibibytes = number_in(&status, "VmRSS:");
    Ok(kibibytes.ok_or_else(|| BenchError::failed(what)("there is no VmRSS"))? * 1024)
}

/// How often the threads of this process, but for the one that calls, have gone to sleep: each time
/// somebody has to wake them up
/// ([proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)).
pub(crate) fn sleeps_of_other_threads() -> Result<u64, BenchError> {
    let what = "reading /proc/self/task";
    let own = nix::unistd::gettid().to_string();
    let mut sleeps = 0;
    for task in fs::read_dir("/proc/self/task").map_err(BenchError::failed(what))? {
        let task = task.map_err(BenchError::failed(what))?;
        if task.file_name().to_str() == Some(&own) {
            continue;
        }
        // A thread that has ended meanwhile does not sleep any more.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        let missing = || BenchError::failed(what)("there is no voluntary_ctxt_switches");
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
    fn a_thread_that_sleeps_is_noticed() {
        let (wake, woken) = std::sync::mpsc::sync_channel::<()>(0);
        let (answer, answered) = std::sync::mpsc::sync_channel::<()>(0);
        let before = sleeps_of_other_threads().unwrap();
        let thread = std::thread::spawn(move || woken.iter().try_for_each(|()| answer.send(())));
        // Some of them may find the other awake.
        for _ in 0..1000 {
            wake.send(()).unwrap();
            answered.recv().unwrap();
        }
        assert!(sleeps_of_other_threads().unwrap() > before);
        drop((wake, answered));
        let _ = thread.join().unwrap();
    }
}
