//! Length arithmetic: for any sizes of encryption, the payload found is the largest that fits in a
//! datagram.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, u8, u8, u16)| {
    let [block, salt, hash] = [input.0, input.1, input.2].map(usize::from);
    knet_wire::fuzzing::lengths(knet_wire::CryptoSizes { block, salt, hash }, input.3.into());
});
