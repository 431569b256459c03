//! Which process of its peer one link has heard of.

/// The process that a link's pings came from, for restart detection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// How many restarts of the host had been detected by its last ping that was answered.
    pub(crate) starts: u32,
    /// Where in the host's numbers the last ping was that was answered. On one link, pings of one
    /// process go forward, however late they are.
    pub(crate) position: Option<u64>,
}
