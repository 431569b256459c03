//! What works without privileges, in a process of its own that gives them up.

use knet_fd::{PairType, SocketPair};
use nix::unistd::{Uid, geteuid, seteuid};

#[test]
fn buffers_are_smaller_without_privilege_and_that_is_no_error() {
    if geteuid().is_root() {
        seteuid(Uid::from_raw(65534)).unwrap();
    }
    let wanted = 1 << 30;
    let pair = SocketPair::new(PairType::SeqPacket, wanted).unwrap();
    assert!(!pair.buffers.is_full(), "{:?}: is the limit that high here?", pair.buffers);
    assert_eq!(pair.buffers.wanted, wanted);
    assert!(pair.buffers.receive > 0 && pair.buffers.send > 0, "{:?}", pair.buffers);
}
