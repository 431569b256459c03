//! Packets captured from libknet (`docs/wire-format.md`, "Captured packets"), decoded and encoded.

mod golden;
mod rejected;

/// V1, a ping from host 1 to host 2.
const V1: &str = "01810001000000370400000000000062bb252c00000000000001";

/// V7, "hello, kronosnet" as a broadcast.
const V7: &str = "010000010000000100000101000068656c6c6f2c206b726f6e6f736e6574";

/// The header of V9, the first of three fragments, each with a slice of [`digits`].
const V9_HEADER: &str = "0100000100000001000001030100";

/// Returns the 200 bytes that V9 to V11 carry.
fn digits() -> Vec<u8> {
    b"0123456789".repeat(20)
}

/// Converts hexadecimal digits to bytes. White space is ignored.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).expect("two digits"))
        .collect()
}
