//! System calls interrupted by signals.

use nix::errno::Errno;

/// Repeats a call while a signal interrupts it (`EINTR`), in which case it had no effect.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interrupted_call_is_repeated() {
        let mut answers =
            [Err(Errno::EINTR), Err(Errno::EINTR), Ok(7), Err(Errno::EIO)].into_iter();
        let mut next = || answers.next().unwrap();
        assert_eq!(retry(&mut next), Ok(7));
        assert_eq!(retry(&mut next), Err(Errno::EIO));
    }
}
