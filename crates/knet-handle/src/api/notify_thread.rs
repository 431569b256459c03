//! The knet-notify thread: reports events to the application, in the order in which they happened.
//!
//! It is the only thread that runs callbacks, and holds no lock meanwhile.

use crate::api::handle::WeakHandle;
use crate::core::shared::Shared;

/// Works until the handle stops.
pub(crate) fn run(shared: &Shared, handle: &WeakHandle) {
    while !shared.is_stopping() {
        shared.notices.wait();
        while let Some((notice, dropped)) = shared.notices.pop() {
            let Some(handle) = shared.notices.begin(|| handle.upgrade()) else { return };
            handle.audiences().deliver(&handle, notice, dropped);
            // Before the end: it may be the last clone, and `Handle::close` counts them.
            drop(handle);
            shared.notices.end();
        }
    }
}
