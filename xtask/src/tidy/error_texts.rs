//! Rule: the text of an error does not contain its source.
//!
//! `Error::source` returns the source, so printing an error with its causes, as `{:#}` of anyhow does, would
//! print it twice.

use super::{Finding, TextFile};

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if !file.is_rust() || file.path.starts_with("xtask/") {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    // The name of a field that is marked as the source, if the text before it contains that.
    let is_marked = |start: usize, text: &str| {
        let variant = lines[start..].iter().take_while(|line| !line.trim_start().starts_with('}'));
        let field = variant.skip_while(|line| line.trim() != "#[source]").nth(1);
        let name = field.and_then(|line| line.trim().trim_start_matches("pub ").split(':').next());
        name.is_some_and(|name| text.contains(&format!("{{{name}")))
    };
    let attributes =
        (0..lines.len()).filter(|&index| lines[index].trim_start().starts_with("#[error("));
    let repeats = attributes.filter(|&start| {
        let rest = &lines[start..];
        let length = rest.iter().position(|line| line.trim_end().ends_with(")]")).unwrap_or(0) + 1;
        let text = rest[..length].concat();
        // The attributes of the first field are on the line of its variant.
        let field = rest.get(length).copied().unwrap_or_default();
        let is_source = field.contains("(#[from]") || field.contains("(#[source]");
        text.contains("{source") || is_marked(start, &text) || (is_source && text.contains("{0"))
    });
    repeats.map(|index| Finding::new(file.path.as_str(), index + 1, MESSAGE)).collect()
}

const MESSAGE: &str = "this error prints its source, which its causes name again: leave the source out of the \
                       text, or give the field another name than `source`";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let findings = check(&TextFile::new("crates/a/src/error.rs", text));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn sources_in_texts_are_found() {
        assert_eq!(lines("x\n#[error(\"cannot read: {source}\")]\nRead { source: Error },"), [2]);
        assert_eq!(lines("#[error(\n    \"a long text: {source}\"\n)]"), [1]);
        assert_eq!(lines("#[error(\"cannot read: {0}\")]\nRead(#[from] Error),"), [1]);
        let marked =
            "#[error(\"not sent: {why}\")]\npub struct E {\n    #[source]\n    pub why: Error,\n}";
        assert_eq!(lines(marked), [1]);
    }

    #[test]
    fn other_texts_are_fine() {
        assert_eq!(lines("#[error(\"cannot read\")]\nRead { source: Error },"), [0; 0]);
        assert_eq!(lines("#[error(\"host {0} is unknown\")]\nUnknown(HostId),"), [0; 0]);
        assert_eq!(lines("#[error(transparent)]\nRead(#[from] Error),"), [0; 0]);
    }
}
