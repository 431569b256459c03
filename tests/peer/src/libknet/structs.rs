//! The structures that libknet writes (`docs/porting.md`, "Structures").

use std::ffi::c_char;

use libc::{size_t, time_t, timespec};

/// `struct knet_link_status`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkStatus {
    pub(super) size: size_t,
    pub(super) src_ipaddr: [c_char; 256],
    pub(super) src_port: [c_char; 6],
    pub(super) dst_ipaddr: [c_char; 256],
    pub(super) dst_port: [c_char; 6],
    pub(super) enabled: u8,
    pub(super) connected: u8,
    pub(super) dynconnected: u8,
    pub(super) latency: u64,
    pub(super) pong_last: timespec,
    pub(super) mtu: u32,
    pub(super) proto_overhead: u32,
    pub(super) stats: LinkStats,
}

impl LinkStatus {
    /// Returns one for libknet to write to.
    pub(super) fn empty() -> Self {
        Self {
            size: 0,
            src_ipaddr: [0; 256],
            src_port: [0; 6],
            dst_ipaddr: [0; 256],
            dst_port: [0; 6],
            enabled: 0,
            connected: 0,
            dynconnected: 0,
            latency: 0,
            pong_last: timespec { tv_sec: 0, tv_nsec: 0 },
            mtu: 0,
            proto_overhead: 0,
            stats: LinkStats::default(),
        }
    }
}

/// The counters of a link, `struct knet_link_stats`. Bytes are those of UDP payloads, packets are
/// datagrams.
#[expect(missing_docs, reason = "the names are self-explanatory")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LinkStats {
    pub tx_data_packets: u64,
    pub rx_data_packets: u64,
    pub tx_data_bytes: u64,
    pub rx_data_bytes: u64,
    pub rx_ping_packets: u64,
    pub tx_ping_packets: u64,
    pub rx_ping_bytes: u64,
    pub tx_ping_bytes: u64,
    pub rx_pong_packets: u64,
    pub tx_pong_packets: u64,
    pub rx_pong_bytes: u64,
    pub tx_pong_bytes: u64,
    pub rx_pmtu_packets: u64,
    pub tx_pmtu_packets: u64,
    pub rx_pmtu_bytes: u64,
    pub tx_pmtu_bytes: u64,
    pub tx_total_packets: u64,
    pub rx_total_packets: u64,
    pub tx_total_bytes: u64,
    pub rx_total_bytes: u64,
    pub tx_total_errors: u64,
    pub tx_total_retries: u64,
    pub tx_pmtu_errors: u32,
    pub tx_pmtu_retries: u32,
    pub tx_ping_errors: u32,
    pub tx_ping_retries: u32,
    pub tx_pong_errors: u32,
    pub tx_pong_retries: u32,
    pub tx_data_errors: u32,
    pub tx_data_retries: u32,
    /// Microseconds, as the two below.
    pub latency_min: u32,
    pub latency_max: u32,
    pub latency_ave: u32,
    pub latency_samples: u32,
    pub down_count: u32,
    pub up_count: u32,
    /// Seconds of the wall clock.
    pub last_up_times: [time_t; 16],
    /// Seconds of the wall clock.
    pub last_down_times: [time_t; 16],
    /// The index of the next entry.
    pub last_up_time_index: i8,
    /// The index of the next entry.
    pub last_down_time_index: i8,
}

// The layout must be that of libknet on 64-bit machines (`docs/porting.md`, "Structures").
const _: () = assert!(size_of::<LinkStats>() == 496);
const _: () = assert!(size_of::<LinkStatus>() == 1064);
const _: () = assert!(std::mem::offset_of!(LinkStatus, mtu) == 560);
const _: () = assert!(std::mem::offset_of!(LinkStatus, stats) == 568);
