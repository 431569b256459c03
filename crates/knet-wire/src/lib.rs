//! Kronosnet 1.x packets: parse from and write to byte slices, nothing else.
