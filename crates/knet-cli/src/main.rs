//! The `knet` command.

fn main() {}
