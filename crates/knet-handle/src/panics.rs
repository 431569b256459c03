//! Panics of code of the application that runs on a thread of the handle.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`.
///
/// # Errors
/// The message of its panic.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(discard)
}

/// Drops the payload of a panic, which may be any value, and returns its message.
fn discard(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("a panic without a message").to_owned();
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its destructor panicked, and that of the second payload may do the same, without end.
        mem::forget(second);
    }
    message
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// Panics when it is dropped, with another of its kind.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Bomb(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_ends_nothing() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| panic!("number {}", 2)), Err::<(), _>("number 2".to_owned()));
        assert_eq!(catch(|| panic!("literal")), Err::<(), _>("literal".to_owned()));
        let message = catch(|| panic_any(Bomb(u32::MAX)));
        assert_eq!(message, Err::<(), _>("a panic without a message".to_owned()));
    }
}
