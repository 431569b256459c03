//! Everything the kronosnet protocol decides, with no I/O, no threads and no clock.
