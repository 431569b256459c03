//! Rule: unsafe code stays in three crates, the tests' libknet and faults, in single functions, with its proof
//! above it.

use super::code::{is_word, line_of, words};
use super::{Finding, TextFile};

/// The crates that talk to the kernel, and those of the tests that talk to libknet and provoke faults.
const ALLOWED: &[&str] = &[
    "crates/knet-fd/",
    "crates/knet-poller/",
    "crates/knet-transport/",
    "tests/faults/",
    "tests/peer/",
];

/// What may stand between an attribute and the `fn` it is on. An ABI is a literal, so it is blank here.
const QUALIFIERS: &[&str] = &["pub", "const", "async", "unsafe", "extern"];

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let keywords =
        words(&file.code, "unsafe").filter_map(|at| Some((at, about_keyword(file, at)?)));
    let lints =
        words(&file.code, "unsafe_code").filter_map(|at| Some((at, about_lint(&file.code, at)?)));
    keywords
        .chain(lints)
        .map(|(at, message)| Finding::new(file.path.as_str(), line_of(&file.code, at), message))
        .collect()
}

/// Returns what is wrong with the keyword `unsafe` at a position of the code.
fn about_keyword(file: &TextFile, at: usize) -> Option<&'static str> {
    if !ALLOWED.iter().any(|folder| file.path.starts_with(folder)) {
        return Some(
            "unsafe code is not allowed here: use a safe call of nix or socket2, or add a safe function to \
             knet-fd, knet-poller or knet-transport",
        );
    }
    let is_block = file.code[at + "unsafe".len()..].trim_start().starts_with('{');
    if is_block && !has_proof(&file.text, line_of(&file.code, at)) {
        return Some(
            "this block has no proof: state why it is sound in a comment `// SAFETY:` right above",
        );
    }
    None
}

/// Returns `true` if the comment right above the line has a line that begins with `// SAFETY:`. If
/// the line only continues an assignment, because it got too long, a comment above that counts.
fn has_proof(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let comment = above
        .iter()
        .rev()
        .skip_while(|text| text.ends_with('='))
        .take_while(|text| text.starts_with("//"));
    comment.into_iter().any(|text| text.starts_with("// SAFETY: "))
}

/// Returns what is wrong with the lint name `unsafe_code` at a position of the code.
fn about_lint(code: &str, at: usize) -> Option<&'static str> {
    let start = code[..at].rfind('#')?;
    let attribute = &code[start..];
    if words(attribute.get(..at - start)?, "forbid").next().is_some() {
        return None;
    }
    if attribute.starts_with("#!") {
        return Some(
            "this allows unsafe code in a whole module: allow it on the one function that needs it",
        );
    }
    let item = after_attribute(attribute)?;
    (!is_function(item)).then_some(
        "this allows unsafe code on more, or less, than a function: put it on the one function",
    )
}

/// Returns the text after the attribute that it begins with.
fn after_attribute(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth <= 1 => return Some(&text[at + 1..]),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Returns `true` if the text begins with a function, after further attributes, a visibility and
/// qualifiers.
fn is_function(mut item: &str) -> bool {
    loop {
        item = item.trim_start();
        if item.starts_with('#') {
            let Some(rest) = after_attribute(item) else { return false };
            item = rest;
            continue;
        }
        let word = &item[..item.find(|c| !is_word(c)).unwrap_or(item.len())];
        if word == "fn" {
            return true;
        }
        if !QUALIFIERS.contains(&word) {
            return false;
        }
        item = item[word.len()..].trim_start();
        if item.starts_with('(') {
            let Some((_, rest)) = item.split_once(')') else { return false };
            item = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_in(path: &str, text: &str) -> Vec<usize> {
        check(&TextFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    fn lines(text: &str) -> Vec<usize> {
        lines_in("crates/knet-fd/src/a.rs", text)
    }

    #[test]
    fn a_proved_block_in_an_allowed_function_is_fine() {
        let text = "\
#[allow(unsafe_code)]
pub(crate) fn f() {
    // SAFETY: `g` takes nothing and
    // keeps nothing.
    let x = unsafe { g() };
}
";
        assert_eq!(lines(text), [0; 0]);
    }

    #[test]
    fn unsafe_elsewhere_is_found() {
        let text = "fn f() {\n    // SAFETY: sound.\n    unsafe { g() }\n}";
        assert_eq!(lines_in("crates/knet-handle/src/a.rs", text), [3]);
        assert_eq!(lines_in("tests/tests/a.rs", text), [3]);
        assert_eq!(lines_in("crates/knet-fd/tests/a.rs", text), [0; 0]);
        assert_eq!(lines_in("tests/peer/src/a.rs", text), [0; 0]);
        assert_eq!(lines_in("docs/a.md", text), [0; 0]);
    }

    #[test]
    fn talking_of_unsafe_is_fine_anywhere() {
        let text = "//! Nothing unsafe {\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe {\";";
        assert_eq!(lines_in("crates/knet-wire/src/lib.rs", text), [0; 0]);
    }

    #[test]
    fn a_block_without_a_proof_right_above_is_found() {
        assert_eq!(lines("fn f() {\n    unsafe { g() }\n}"), [2]);
        assert_eq!(lines("// SAFETY: sound.\n\nunsafe { g() }"), [3]);
        assert_eq!(lines("// SAFETY: sound.\nlet a = 1;\nunsafe\n{ g() }"), [3]);
        assert_eq!(lines("// SAFETY:\nunsafe { g() }"), [2]);
        assert_eq!(lines("// It is safe.\nunsafe { g() }"), [2]);
        assert_eq!(lines("unsafe { g() }"), [1]);
    }

    #[test]
    fn a_proof_above_a_broken_assignment_counts() {
        assert_eq!(lines("// SAFETY: sound.\nlet a =\n    unsafe { g() };"), [0; 0]);
        assert_eq!(lines("// SAFETY: sound.\nh();\nlet a =\n    unsafe { g() };"), [4]);
        assert_eq!(lines("// SAFETY: sound.\nmatch a {\n    1 =>\n    unsafe { g() }"), [4]);
    }

    #[test]
    fn each_block_needs_its_own_proof() {
        assert_eq!(lines("// SAFETY: sound.\nunsafe { g() };\nunsafe { h() };"), [3]);
    }

    #[test]
    fn allowing_it_for_more_than_a_function_is_found() {
        assert_eq!(lines("#![allow(unsafe_code)]"), [1]);
        assert_eq!(lines("#[allow(unsafe_code)]\nmod sys {}"), [1]);
        assert_eq!(lines("#[allow(unsafe_code)]\nimpl A {}"), [1]);
        assert_eq!(lines("#[expect(unsafe_code)]\nunsafe impl Send for A {}"), [1]);
        assert_eq!(lines("fn f() {\n    #[allow(unsafe_code)]\n    {}\n}"), [2]);
        assert_eq!(lines("#[cfg_attr(test, allow(unsafe_code))]\npub mod a;"), [1]);
    }

    #[test]
    fn every_form_of_function_is_recognised() {
        for head in [
            "fn f()",
            "pub fn f()",
            "pub(crate) const unsafe fn f()",
            "pub(in crate::a) async fn f()",
            "unsafe extern \"C\" fn f()",
            "/// Docs.\n#[inline]\n#[must_use = \"[x]\"]\nfn f()",
        ] {
            assert_eq!(
                lines(&format!("#[allow(unsafe_code, reason = \"[\")]\n{head} {{}}")),
                [0; 0],
                "{head}"
            );
        }
        let long = "#[expect(\n    unsafe_code,\n    reason = \"nix has none\"\n)]\nfn f() {}";
        assert_eq!(lines(long), [0; 0]);
    }

    #[test]
    fn unfinished_attributes_end_quietly() {
        for text in [
            "#[allow(unsafe_code",
            "#[allow(unsafe_code)]",
            "#[allow(unsafe_code)]\n#[",
            "unsafe_code",
        ] {
            check(&TextFile::new("crates/knet-fd/src/a.rs", text));
        }
    }
}
