//! A memory-safe kronosnet for Linux: redundant links between hosts, behind file descriptors.
