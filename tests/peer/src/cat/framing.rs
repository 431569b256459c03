//! Splits the input into messages.

use kronosnet::MAX_MESSAGE;

use crate::exit::Usage;

/// The bytes of the input that have not been sent yet.
#[derive(Debug)]
pub(super) struct Framing {
    bytes: Vec<u8>,
    /// The size of messages; `None` if each line is a message.
    size: Option<usize>,
}

impl Framing {
    pub(super) fn new(size: Option<usize>) -> Self {
        Self { bytes: Vec::new(), size }
    }

    pub(super) fn add(&mut self, input: &[u8]) {
        self.bytes.extend_from_slice(input);
    }

    /// Removes and returns the next message if it is complete, or if the input has ended.
    ///
    /// # Errors
    /// [`Usage`] if a line is longer than a message may be.
    pub(super) fn take(&mut self, ended: bool) -> Result<Option<Vec<u8>>, Usage> {
        let whole = match self.size {
            Some(size) => (self.bytes.len() >= size).then_some(size),
            None => self.bytes.iter().position(|byte| *byte == b'\n').map(|place| place + 1),
        };
        let rest = (ended && !self.bytes.is_empty()).then_some(self.bytes.len());
        let Some(length) = whole.or(rest) else {
            return self.checked(self.bytes.len()).map(|()| None);
        };
        let mut message: Vec<u8> = self.bytes.drain(..length).collect();
        // An empty line is sent as a newline, because messages are never empty.
        if self.size.is_none() && message.len() > 1 && message.ends_with(b"\n") {
            message.pop();
        }
        self.checked(message.len())?;
        Ok(Some(message))
    }

    fn checked(&self, length: usize) -> Result<(), Usage> {
        if self.size.is_none() && length > MAX_MESSAGE {
            return Err(Usage(format!("a line has more than {MAX_MESSAGE} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: &mut Framing, ended: bool) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| framing.take(ended).unwrap()).collect()
    }

    #[test]
    fn blocks_are_full_but_for_the_last() {
        let mut framing = Framing::new(Some(4));
        framing.add(b"abcdef");
        assert_eq!(all(&mut framing, false), [b"abcd"]);
        framing.add(b"ghij");
        assert_eq!(all(&mut framing, true), [&b"efgh"[..], b"ij"]);
    }

    #[test]
    fn lines_lose_their_newline_unless_they_are_empty() {
        let mut framing = Framing::new(None);
        framing.add(b"one\n\ntw");
        assert_eq!(all(&mut framing, false), [&b"one"[..], b"\n"]);
        framing.add(b"o\nthree");
        assert_eq!(all(&mut framing, true), [&b"two"[..], b"three"]);
    }

    #[test]
    fn a_line_may_be_as_long_as_a_message() {
        let mut framing = Framing::new(None);
        framing.add(&vec![b'x'; MAX_MESSAGE]);
        assert_eq!(framing.take(false).unwrap(), None);
        framing.add(b"\n");
        assert_eq!(framing.take(false).unwrap().unwrap().len(), MAX_MESSAGE);
        framing.add(&vec![b'x'; MAX_MESSAGE + 1]);
        assert!(framing.take(false).is_err());
    }
}
