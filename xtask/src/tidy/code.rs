//! Separation of code from comments and literals, as far as the rules need it.

use std::iter::Peekable;
use std::str::Chars;

/// Replaces every comment, string and character literal by spaces, one for each character, and keeps
/// line breaks, so that positions by line stay the same.
pub(super) fn blank(text: &str) -> String {
    let mut blanker =
        Blanker { rest: text.chars().peekable(), out: String::with_capacity(text.len()) };
    while let Some(&next) = blanker.rest.peek() {
        match next {
            '/' => blanker.slash(),
            '"' => blanker.string(),
            '\'' => blanker.quote(),
            _ if is_word(next) => blanker.word(),
            _ => blanker.keep(),
        }
    }
    blanker.out
}

/// Returns `true` if the character may be part of an identifier.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the byte positions of `word` in `text` where it is not part of a longer word.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Returns the line, from 1, of byte position `at` in `text`.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The rest of the input, and the output so far.
struct Blanker<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Blanker<'_> {
    fn keep(&mut self) {
        self.out.extend(self.rest.next());
    }

    /// Blanks one character and returns it.
    fn skip(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.out.push(if c == '\n' { '\n' } else { ' ' });
        Some(c)
    }

    /// Returns the character after the next one.
    fn second(&self) -> Option<char> {
        self.rest.clone().nth(1)
    }

    fn slash(&mut self) {
        match self.second() {
            Some('/') => {
                while self.rest.peek().is_some_and(|&c| c != '\n') {
                    self.skip();
                }
            }
            Some('*') => self.block_comment(),
            _ => self.keep(),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.rest.peek().copied(), self.second()) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.skip();
                    continue;
                }
            }
            self.skip();
            self.skip();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.skip();
        while let Some(c) = self.skip() {
            match c {
                '\\' => _ = self.skip(),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Blanks `r"…"` or `r#"…"#`, from behind the `r`.
    fn raw_string(&mut self, hashes: usize) {
        for _ in 0..=hashes {
            self.skip();
        }
        while let Some(c) = self.skip() {
            let closing = self.rest.clone().take(hashes).filter(|&c| c == '#').count();
            if c == '"' && closing == hashes {
                for _ in 0..hashes {
                    self.skip();
                }
                return;
            }
        }
    }

    /// Blanks a character literal, or keeps a lifetime, which is code.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone().skip(1);
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.skip();
                self.skip();
                self.skip();
                while self.skip().is_some_and(|c| c != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.skip();
                self.skip();
                self.skip();
            }
            _ => self.keep(),
        }
    }

    /// Keeps an identifier or a number, or the prefix of a literal.
    fn word(&mut self) {
        let start = self.out.len();
        while self.rest.peek().copied().is_some_and(is_word) {
            self.keep();
        }
        if matches!(&self.out[start..], "r" | "br" | "cr") {
            let hashes = self.rest.clone().take_while(|&c| c == '#').count();
            if self.rest.clone().nth(hashes) == Some('"') {
                self.raw_string(hashes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the code that is left, with blanks squeezed, after checking that every character
    /// keeps its place.
    fn left_of(text: &str) -> String {
        let blanked = blank(text);
        assert_eq!(blanked.chars().count(), text.chars().count(), "{text}");
        let breaks = |text: &str| text.match_indices('\n').count();
        assert_eq!(breaks(&blanked), breaks(text), "{text}");
        blanked.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_become_spaces_and_lines_stay() {
        assert_eq!(blank("a // b\nc"), "a     \nc");
        assert_eq!(blank("é /* é\n */ é"), "é     \n    é");
        assert_eq!(left_of("a /* x /* y */\n z */ b"), "a b");
        assert_eq!(left_of("/// docs\n//! more\nfn f() {}"), "fn f() {}");
        assert_eq!(left_of("a / b /"), "a / b /");
    }

    #[test]
    fn strings_become_spaces() {
        assert_eq!(blank("f(\"a\") + 1"), "f(   ) + 1");
        assert_eq!(left_of(r#"f("un\"safe") + 1"#), "f( ) + 1");
        assert_eq!(left_of("f(\"// not a comment\") // one"), "f( )");
        assert_eq!(left_of("b\"x\" c\"y\""), "b c");
    }

    #[test]
    fn raw_strings_end_at_their_own_mark() {
        assert_eq!(left_of("r\"\\\" + a"), "r + a");
        assert_eq!(left_of("r#\"a\"b\"# + c"), "r + c");
        assert_eq!(left_of("br##\"x\"#\"## y"), "br y");
        assert_eq!(left_of("r#fn + \"x\""), "r#fn +");
    }

    #[test]
    fn characters_are_literals_and_lifetimes_are_code() {
        assert_eq!(left_of("'\"' 'a' b'x' y"), "b y");
        assert_eq!(left_of(r"'\'' '\\' '\u{1F600}' x"), "x");
        assert_eq!(left_of("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for text in ["\"", "/*", "/* /", "r#\"", "'\\", "'", "/", "r#"] {
            assert_eq!(blank(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("unsafe_code unsafe (unsafe)", "unsafe").collect::<Vec<_>>(), [12, 20]);
        assert_eq!(words("", "unsafe").count(), 0);
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
