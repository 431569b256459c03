//! One bit for each message number.

use knet_wire::SequenceNumber;

use super::Verdict;

/// A bit for each of the 65536 numbers, all of them 0 and without memory at first.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Option<Box<[u64; WORDS]>>);

const WORD: u16 = u64::BITS as u16;
const WORDS: usize = (1 << u16::BITS) / WORD as usize;

impl Bits {
    pub(super) fn verdict(&self, s: SequenceNumber) -> Verdict {
        let (word, bit) = place(s.get());
        let seen = self.0.as_ref().is_some_and(|words| words[word] & bit != 0);
        if seen { Verdict::Seen } else { Verdict::New }
    }

    pub(super) fn set(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        self.0.get_or_insert_with(|| Box::new([0; WORDS]))[word] |= bit;
    }

    pub(super) fn unset(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        if let Some(words) = &mut self.0 {
            words[word] &= !bit;
        }
    }

    /// Clears the bits of the `count` numbers that follow `s`, a word at a time.
    pub(super) fn clear_after(&mut self, s: SequenceNumber, count: u16) {
        let Some(words) = &mut self.0 else { return };
        let mut next = s.get().wrapping_add(1);
        let mut left = count;
        while left > 0 {
            let run = left.min(WORD - next % WORD);
            let ones = u64::MAX >> (WORD - run);
            let (word, _) = place(next);
            words[word] &= !(ones << (next % WORD));
            next = next.wrapping_add(run);
            left -= run;
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(words) = &mut self.0 {
            words.fill(0);
        }
    }
}

/// Returns the word and the bit of a number. Every number has one, so the word is below [`WORDS`].
fn place(number: u16) -> (usize, u64) {
    (usize::from(number / WORD), 1 << (number % WORD))
}
