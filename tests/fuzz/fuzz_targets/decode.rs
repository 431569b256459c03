//! Any datagram is refused, or encodes to the same bytes and decodes to itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    knet_wire::fuzzing::decode(datagram);
});
