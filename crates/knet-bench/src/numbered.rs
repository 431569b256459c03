//! The messages of a run: numbered, and otherwise of no meaning.

use knet_fd::BatchMessage;

use crate::error::BenchError;

/// Buffers for as many messages as are written at once, each with its number in front.
#[derive(Debug)]
pub(crate) struct Numbered {
    arena: Vec<u8>,
    size: usize,
}

impl Numbered {
    /// Room for `messages` messages of `size` bytes, which are at least [`NUMBER`].
    pub(crate) fn new(messages: usize, size: usize) -> Self {
        // Not zeros: so that a compressing link would have to work for it.
        let arena = (0..messages * size).map(|index| (index * 31 % 251) as u8).collect();
        Self { arena, size }
    }

    /// The messages with the `count` numbers from `first` on.
    pub(crate) fn from(&mut self, first: u64, count: usize) -> impl Iterator<Item = &[u8]> {
        for (message, number) in self.arena.chunks_exact_mut(self.size).zip(first..).take(count) {
            message[..NUMBER].copy_from_slice(&number.to_le_bytes());
        }
        self.arena.chunks_exact(self.size).take(count)
    }
}

/// The number of a message of `size` bytes.
///
/// # Errors
/// [`BenchError::UnexpectedMessage`] if it is no message of the run.
pub(crate) fn number(message: BatchMessage<'_>, size: usize) -> Result<u64, BenchError> {
    let stranger = BenchError::UnexpectedMessage { length: message.bytes.len(), wanted: size };
    match message.bytes.first_chunk() {
        Some(number) if message.bytes.len() == size => Ok(u64::from_le_bytes(*number)),
        _ => Err(stranger),
    }
}

/// Bytes of a number.
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
