//! Faults that a test cannot provoke otherwise: system calls that fail on demand, and forks.
//!
//! A seccomp filter passes the chosen system calls of a thread, and of all threads that it starts, to a
//! supervisor in the same process, which lets them go on or makes them fail
//! ([`seccomp_unotify(2)`](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). So a call may
//! fail once, for a while or for good, in one thread or on one descriptor only, and is counted. No
//! privileges are needed, and threads outside are not affected.

mod call;
pub use call::Call;

mod faults;
pub use faults::{Fault, Faults, run};

mod fork;
pub use fork::in_fork;

mod seccomp;
