//! Rule: links in documents are valid.

use super::{Finding, TextFile};

/// Checks the relative links of Markdown files; `paths` are the existing files.
pub(super) fn check(file: &TextFile, paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.path.ends_with(".md") {
        return findings;
    }
    for (line, link) in links(&file.text) {
        let path = link.split('#').next().unwrap_or(link);
        if path.is_empty() || link.contains(':') {
            continue;
        }
        let problem = match resolve(&file.path, path) {
            None => "leads out of the repository: use a full address, or remove the link",
            Some(target) if exists(&target, paths) => continue,
            Some(_) => "leads nowhere: correct it, or add the file",
        };
        findings.push(Finding::new(
            file.path.as_str(),
            line,
            format!("the link to {link} {problem}"),
        ));
    }
    findings
}

/// Returns every link target with its line: `[…](target)` and `[…]: target`, outside of code.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.extend(target.split_whitespace().next().map(|target| (number, target)));
        }
        // Every second piece between backticks is code. A link whose text is code keeps its `](`.
        for prose in line.split('`').step_by(2) {
            let targets =
                prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(targets.map(|target| (number, target)));
        }
    }
    found
}

/// Returns the path from the root that a link in `document` means, or `None` if it leaves the
/// repository.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns `true` if there is a file of that name, or a folder with a file in it.
fn exists(target: &str, paths: &[String]) -> bool {
    paths.iter().any(|path| {
        path.strip_prefix(target)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || target.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, text: &str) -> Vec<String> {
        let paths = ["README.md", "docs/datafd.md", "docs/a/b.md", "crates/knet-fd/src/lib.rs"]
            .map(str::to_owned);
        check(&TextFile::new(document, text), &paths)
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn links_to_files_and_folders_are_fine() {
        let text = "[a](docs/datafd.md), [b](docs/a/b.md#part) and [`c`](crates/knet-fd)\n[d]: docs/\n[e](.)";
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(
            found("docs/a/b.md", "[up](../datafd.md) [root](../../README.md \"title\")"),
            [""; 0]
        );
    }

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        let found =
            found("docs/datafd.md", "fine\n[a](README.md) [`b`](a/b.md)\n[c]: ../crates/knet-f\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("docs/datafd.md:2: the link to README.md leads nowhere"),
            "{}",
            found[0]
        );
        assert!(
            found[1].starts_with("docs/datafd.md:3: the link to ../crates/knet-f"),
            "{}",
            found[1]
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        let found = found("README.md", "[a](../design.md)");
        assert!(found[0].contains("out of the repository"), "{found:?}");
    }

    #[test]
    fn addresses_anchors_and_code_are_not_checked() {
        let text = "[a](https://example.org/x) [b](#part) `[c](nowhere)`\n```\n[d](nowhere)\n```\n";
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(found("src/lib.rs", "//! [a](nowhere)"), [""; 0]);
    }
}
