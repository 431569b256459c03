//! Transmitters for the threads of the application that send.

use parking_lot::Mutex;

use crate::tx::transmitter::Transmitter;

/// Idle transmitters, at most [`MAX_IDLE`].
#[derive(Debug, Default)]
pub(crate) struct TransmitterPool {
    idle: Mutex<Vec<Transmitter>>,
}

impl TransmitterPool {
    /// Runs `work` with a transmitter that no other thread uses meanwhile, without the lock of the pool.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Transmitter) -> T) -> T {
        let mut transmitter = self.idle.lock().pop().unwrap_or_default();
        let answer = work(&mut transmitter);
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(transmitter);
        }
        answer
    }
}

/// How many transmitters are kept for threads that send at the same time; those of others live as long as a call.
const MAX_IDLE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_sent_at_the_same_time_leave_a_bounded_number_behind() {
        fn nested(pool: &TransmitterPool, depth: usize) {
            pool.with(|_| {
                if depth > 0 {
                    nested(pool, depth - 1);
                }
            });
        }
        let pool = TransmitterPool::default();
        nested(&pool, 2 * MAX_IDLE);
        assert_eq!(pool.idle.lock().len(), MAX_IDLE);
        nested(&pool, 3);
        assert_eq!(pool.idle.lock().len(), MAX_IDLE);
    }
}
