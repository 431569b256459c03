//! Safe file descriptor plumbing: flags, duplicates, socket pairs, kinds, batched messages.
