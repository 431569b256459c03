//! A message on its way out, and messages that outlive the buffer they were read into.

use arrayvec::ArrayVec;

use crate::io::batch::BATCH;

/// A message on its way out: what the application wrote, and what leaves.
///
/// The two are the same as long as there is no compression, whose place is between the choice of the
/// destinations and the cutting into packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Message<'a> {
    /// What the application wrote: what the filter sees, what is counted and looped back.
    pub(crate) plain: &'a [u8],
    /// What is cut into packets.
    pub(crate) on_wire: &'a [u8],
    /// The compression method in the header; 0 if uncompressed.
    pub(crate) method: u8,
}

impl<'a> Message<'a> {
    /// Creates a message that leaves as it was written.
    pub(crate) fn uncompressed(plain: &'a [u8]) -> Self {
        Self { plain, on_wire: plain, method: 0 }
    }
}

/// The messages of one batch, at most [`BATCH`], in a buffer of their own.
#[derive(Debug)]
pub(crate) struct OwnedMessages {
    bytes: Vec<u8>,
    lengths: ArrayVec<usize, BATCH>,
}

impl OwnedMessages {
    pub(crate) fn of(messages: &[Message<'_>]) -> Self {
        let messages = messages.iter().take(BATCH).map(|message| message.plain);
        let lengths: ArrayVec<usize, BATCH> = messages.clone().map(<[u8]>::len).collect();
        let mut bytes = Vec::with_capacity(lengths.iter().sum());
        messages.for_each(|plain| bytes.extend_from_slice(plain));
        Self { bytes, lengths }
    }

    pub(crate) fn messages(&self) -> ArrayVec<Message<'_>, BATCH> {
        let mut rest = self.bytes.as_slice();
        let mut next = |&length: &usize| {
            let (message, others) = rest.split_at_checked(length)?;
            rest = others;
            Some(Message::uncompressed(message))
        };
        self.lengths.iter().filter_map(&mut next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_messages_are_those_that_were_copied() {
        let batches: [&[&[u8]]; 3] = [&[b"one", b"", b"three"], &[], &[b"four"]];
        for batch in batches {
            let messages: Vec<_> = batch.iter().map(|plain| Message::uncompressed(plain)).collect();
            assert_eq!(OwnedMessages::of(&messages).messages().as_slice(), messages);
        }
    }
}
