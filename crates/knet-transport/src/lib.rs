//! Packets without protocol: UDP sockets for kronosnet links, in batches, with the error queue as values.
