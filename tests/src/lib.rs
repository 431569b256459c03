//! What the whole-system suites share.
