//! Transmitters for the threads of the application that send.

use parking_lot::Mutex;

use crate::tx::transmitter::Transmitter;

/// Idle transmitters. There are at most as many as threads have ever sent at the same time.
#[derive(Debug, Default)]
pub(crate) struct TransmitterPool {
    idle: Mutex<Vec<Transmitter>>,
}

impl TransmitterPool {
    /// Runs `work` with a transmitter that no other thread uses meanwhile, without the lock of the pool.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Transmitter) -> T) -> T {
        let mut transmitter = self.idle.lock().pop().unwrap_or_default();
        let answer = work(&mut transmitter);
        self.idle.lock().push(transmitter);
        answer
    }
}
