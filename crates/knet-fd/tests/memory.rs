//! Memory use of a batch, measured in a process of its own.

use knet_fd::{PairType, ReceiveBatch, SocketPair, send};

#[test]
fn memory_that_no_message_touched_is_not_committed() {
    let pair = SocketPair::new(PairType::SeqPacket, 65536).unwrap();
    let _ = send(&pair.left, b"small").unwrap();

    // 64 slots of 2 MiB: committing them would take 128 MiB.
    let before = resident();
    let mut batch = ReceiveBatch::new(64, 1 << 20, 1 << 20);
    assert_eq!(batch.receive(&pair.right).unwrap().messages, 1);
    let more = resident().saturating_sub(before);
    assert!(more < 8 << 20, "{more} bytes more");
    assert_eq!(batch.message(0).bytes, b"small");
}

/// Returns the resident memory of this process in bytes.
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
