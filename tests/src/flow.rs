//! Traffic that goes on while something else is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kronosnet::Datafd;

use crate::cluster::message;
use crate::wait::receive;

/// Does `work` while messages of `length` bytes go both ways between each pair of datafds.
///
/// # Panics
/// If a message is lost or changed, or if hardly any arrive.
pub fn during_traffic(pairs: &[(Datafd, Datafd)], length: usize, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let flows: Vec<_> =
            pairs.iter().map(|ends| scope.spawn(|| flow(ends, length, &stop))).collect();
        {
            // The flows end even if `work` panics.
            let _stopping = Stopping(&stop);
            work();
        }
        for flow in flows {
            let arrived = flow.join().expect("every message arrives");
            assert!(arrived > 10, "there was traffic throughout");
        }
    });
}

/// Sends messages both ways until `stop` is set, and returns how many arrived. It waits for each
/// before the next, so that a lost one is noticed.
fn flow((one, two): &(Datafd, Datafd), length: usize, stop: &AtomicBool) -> usize {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        for (from, to) in [(one, two), (two, one)] {
            let bytes = message(length, number);
            assert_eq!(nix::unistd::write(from, &bytes), Ok(length));
            assert_eq!(receive(to), bytes);
            number += 1;
        }
    }
    number
}

struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
