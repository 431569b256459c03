//! Kronosnet channel numbers: a checked type, sets, maps and an allocator.
