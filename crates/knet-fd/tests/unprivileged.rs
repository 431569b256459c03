//! Behaviour without privileges, in a process of its own that drops them.

use knet_fd::{PairType, SocketPair};
use nix::unistd::{Uid, geteuid, seteuid};

#[test]
fn smaller_buffers_without_privilege_are_not_an_error() {
    if geteuid().is_root() {
        seteuid(Uid::from_raw(65534)).unwrap();
    }
    let wanted = 1 << 30;
    let pair = SocketPair::new(PairType::SeqPacket, wanted).unwrap();
    assert!(!pair.buffers.is_full(), "{:?}: the limit is unusually high", pair.buffers);
    assert_eq!(pair.buffers.wanted, wanted);
    assert!(pair.buffers.receive > 0 && pair.buffers.send > 0, "{:?}", pair.buffers);
}
