//! Which calls fail, and the supervisor that makes them.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;

use crate::call::Call;
use crate::seccomp::{self, Intercepted};

/// A call that is to fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    call: Call,
    errno: Errno,
    thread: Option<&'static str>,
    fd: Option<RawFd>,
    operation: Option<i32>,
    times: Option<u64>,
}

impl Fault {
    /// Makes this call fail with this number, in every thread, on every descriptor, and for good.
    #[must_use]
    pub fn new(call: Call, errno: Errno) -> Self {
        Self { call, errno, thread: None, fd: None, operation: None, times: None }
    }

    /// Restricts it to threads of this name, such as `knet-rx`.
    #[must_use]
    pub fn of_thread(self, name: &'static str) -> Self {
        Self { thread: Some(name), ..self }
    }

    /// Restricts it to calls whose first argument is this descriptor.
    #[must_use]
    pub fn on(self, fd: RawFd) -> Self {
        Self { fd: Some(fd), ..self }
    }

    /// Restricts it to calls whose second argument is this number, as of `epoll_ctl`.
    #[must_use]
    pub fn doing(self, operation: i32) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Restricts it to the next so many calls.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    fn concerns(&self, call: &Intercepted, name: &str) -> bool {
        self.call.is(call)
            && self.thread.is_none_or(|thread| thread == name)
            && self.fd.is_none_or(|fd| fd == call.fd())
            && self.operation.is_none_or(|operation| operation == call.arguments[1] as i32)
            && self.times != Some(0)
    }
}

/// The calls that fail now. A test adds and removes them while threads run.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    failed: u64,
    made: HashMap<(String, i64), u64>,
}

impl Faults {
    /// Makes a call fail from now on.
    pub fn add(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Makes all calls work again.
    pub fn clear(&self) {
        self.state.lock().faults.clear();
    }

    /// Returns how many calls have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state.lock().failed
    }

    /// Returns how many times threads of this name have made a call, whether it failed or not.
    #[must_use]
    pub fn made(&self, thread: &str, call: Call) -> u64 {
        let state = self.state.lock();
        let of = |number: &i64| state.made.get(&(thread.to_owned(), *number)).copied();
        call.numbers().iter().filter_map(of).sum()
    }

    /// Returns the number with which a call fails, or `None` if it goes on.
    fn judge(&self, call: &Intercepted, name: &str) -> Option<Errno> {
        let mut state = self.state.lock();
        *state.made.entry((name.to_owned(), call.number)).or_default() += 1;
        let fault = state.faults.iter_mut().find(|fault| fault.concerns(call, name))?;
        fault.times = fault.times.map(|times| times - 1);
        let errno = fault.errno;
        state.failed += 1;
        Some(errno)
    }

    /// Decides about calls until the last of the threads that make them has ended.
    fn supervise(&self, listener: BorrowedFd<'_>) {
        let mut names = HashMap::new();
        loop {
            let mut fds = [PollFd::new(listener, PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => panic!("failed to poll the listener: {errno}"),
            }
            let ready = fds[0].revents().unwrap_or(PollFlags::empty());
            if !ready.contains(PollFlags::POLLIN) {
                if ready.contains(PollFlags::POLLHUP) {
                    return;
                }
                continue;
            }
            let Some(call) = seccomp::receive(listener).expect("a notification") else { continue };
            let name = names.entry(call.thread).or_insert_with(|| name_of(call.thread));
            if name.is_empty() {
                // It has given itself no name yet.
                *name = name_of(call.thread);
            }
            let errno = self.judge(&call, name);
            seccomp::decide(listener, &call, errno).expect("an answer");
        }
    }
}

fn name_of(thread: i32) -> String {
    let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Runs `scenario` in a thread in which all [`Call`]s can be made to fail, as in the threads that it
/// starts. It must end them.
///
/// # Panics
/// If `scenario` panics, or if the kernel refuses the filter.
pub fn run<T: Send>(scenario: impl FnOnce(&Faults) -> T + Send) -> T {
    let faults = Faults::default();
    let (send, receive) = crossbeam_channel::bounded(1);
    thread::scope(|scope| {
        let faults = &faults;
        scope.spawn(move || {
            // Nothing comes if there is no filter.
            if let Ok(listener) = receive.recv() {
                let listener: std::os::fd::OwnedFd = listener;
                faults.supervise(listener.as_fd());
            }
        });
        let filtered = scope.spawn(move || {
            let numbers: Vec<_> =
                Call::ALL.iter().flat_map(|call| call.numbers()).copied().collect();
            let listener = seccomp::intercept(&numbers).expect("seccomp(2) with a listener");
            send.send(listener).expect("the supervisor waits for it");
            scenario(faults)
        });
        match filtered.join() {
            Ok(answer) => answer,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}
