//! Decoding: any datagram is rejected, or encodes to the same bytes again.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    knet_wire::fuzzing::decode(datagram);
});
