//! An epoll with typed tokens, a waker, and no stale events.
