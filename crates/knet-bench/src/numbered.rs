//! The messages of a run: a number, followed by filler.

use knet_fd::BatchMessage;

use crate::error::BenchError;

/// Buffers for the messages that are written at once, each starting with its number.
#[derive(Debug)]
pub(crate) struct Numbered {
    arena: Vec<u8>,
    size: usize,
}

impl Numbered {
    /// Creates buffers for `messages` messages of `size` bytes, at least [`NUMBER`].
    pub(crate) fn new(messages: usize, size: usize) -> Self {
        // Zeros would be unfairly cheap for a link that compresses.
        let arena = (0..messages * size).map(|index| (index * 31 % 251) as u8).collect();
        Self { arena, size }
    }

    /// Returns `count` messages, numbered from `first`.
    pub(crate) fn from(&mut self, first: u64, count: usize) -> impl Iterator<Item = &[u8]> {
        for (message, number) in self.arena.chunks_exact_mut(self.size).zip(first..).take(count) {
            message[..NUMBER].copy_from_slice(&number.to_le_bytes());
        }
        self.arena.chunks_exact(self.size).take(count)
    }
}

/// Returns the number of a message.
///
/// # Errors
/// [`BenchError::UnexpectedMessage`] if the message does not have `size` bytes.
pub(crate) fn number(message: BatchMessage<'_>, size: usize) -> Result<u64, BenchError> {
    let unexpected = BenchError::UnexpectedMessage { length: message.bytes.len(), expected: size };
    match message.bytes.first_chunk() {
        Some(number) if message.bytes.len() == size => Ok(u64::from_le_bytes(*number)),
        _ => Err(unexpected),
    }
}

/// The size of a number in bytes.
pub(crate) const NUMBER: usize = size_of::<u64>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_consecutive_numbers() {
        let mut numbered = Numbered::new(4, 10);
        let messages: Vec<Vec<u8>> = numbered.from(300, 3).map(<[u8]>::to_vec).collect();
        assert_eq!(messages.len(), 3);
        for (message, number) in messages.iter().zip(300_u64..) {
            assert_eq!(message.len(), 10);
            assert_eq!(message[..8], number.to_le_bytes());
        }
    }
}
