//! Splits the input into messages.

use std::io::{self, BufRead, Read};

use kronosnet::MAX_MESSAGE;

/// How the input is split.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// Blocks of this many bytes; only the last may be shorter.
    Blocks(usize),
    /// One message per line, without its newline. An empty line becomes a single newline, because
    /// messages are never empty.
    Lines,
}

/// Why there is no next message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error(
        "line {line} of the input is longer than {MAX_MESSAGE} bytes, the maximum size of a message"
    )]
    LineTooLong { line: u64 },
    #[error("cannot read the input")]
    Read(#[from] io::Error),
}

/// The messages of an input.
#[derive(Debug)]
pub(crate) struct Messages<R> {
    input: R,
    framing: Framing,
    buffer: Vec<u8>,
    lines: u64,
}

impl<R: BufRead> Messages<R> {
    pub(crate) fn new(input: R, framing: Framing) -> Self {
        Self { input, framing, buffer: Vec::new(), lines: 0 }
    }

    /// Returns the next message, of 1 to 65536 bytes, or `None` at the end of the input.
    ///
    /// # Errors
    /// [`InputError`].
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, InputError> {
        self.buffer.clear();
        match self.framing {
            Framing::Blocks(size) => self.read_block(size)?,
            Framing::Lines => self.read_line()?,
        }
        Ok((!self.buffer.is_empty()).then_some(self.buffer.as_slice()))
    }

    fn read_block(&mut self, size: usize) -> Result<(), InputError> {
        self.input.by_ref().take(size as u64).read_to_end(&mut self.buffer)?;
        Ok(())
    }

    fn read_line(&mut self) -> Result<(), InputError> {
        self.lines += 1;
        // One byte more than a message may have: the newline of the longest line.
        let longest = MAX_MESSAGE as u64 + 1;
        self.input.by_ref().take(longest).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() > 1 && self.buffer.ends_with(b"\n") {
            self.buffer.pop();
        }
        if self.buffer.len() > MAX_MESSAGE {
            return Err(InputError::LineTooLong { line: self.lines });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(input: &[u8], framing: Framing) -> Result<Vec<Vec<u8>>, InputError> {
        // Short reads, as from a pipe.
        let input = io::BufReader::with_capacity(3, input);
        let mut messages = Messages::new(input, framing);
        let mut all = Vec::new();
        while let Some(message) = messages.next()? {
            all.push(message.to_vec());
        }
        Ok(all)
    }

    #[test]
    fn blocks_are_full_but_for_the_last() {
        let blocks = messages(b"abcdefghij", Framing::Blocks(4)).unwrap();
        assert_eq!(blocks, [&b"abcd"[..], b"efgh", b"ij"]);
        assert_eq!(messages(b"abcd", Framing::Blocks(4)).unwrap(), [b"abcd"]);
        assert!(messages(b"", Framing::Blocks(4)).unwrap().is_empty());
    }

    #[test]
    fn lines_lose_their_newline_unless_they_are_empty() {
        let lines = messages(b"one\n\ntwo \r\nthree", Framing::Lines).unwrap();
        assert_eq!(lines, [&b"one"[..], b"\n", b"two \r", b"three"]);
        assert!(messages(b"", Framing::Lines).unwrap().is_empty());
    }

    #[test]
    fn the_longest_line_has_65536_bytes() {
        let mut input = vec![b'x'; MAX_MESSAGE];
        assert_eq!(messages(&input, Framing::Lines).unwrap(), [input.clone()]);
        input.push(b'\n');
        assert_eq!(messages(&input, Framing::Lines).unwrap(), [&input[..MAX_MESSAGE]]);

        let mut input = b"first\n".to_vec();
        input.extend([b'x'; MAX_MESSAGE + 1]);
        for _ in 0..2 {
            let error = messages(&input, Framing::Lines).unwrap_err();
            assert!(matches!(error, InputError::LineTooLong { line: 2 }), "{error}");
            input.push(b'\n');
        }
    }
}
