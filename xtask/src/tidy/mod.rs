//! `cargo xtask tidy`: are the rules kept that no linter checks?
//!
//! Each rule is a file of its own, with its tests: a function from files to findings. A finding
//! names the place, what is wrong and what to do about it.

mod arrows;
mod circles;
mod code;
mod error_texts;
mod forbid;
mod links;
mod log_events;
mod module_map;
mod modules;
mod named_files;
mod named_tests;
mod prose;
mod rooms;
mod top_level;
mod unsafe_code;
mod waiting;
mod words;

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// A place where a rule is broken.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Finding {
    /// The file, relative to the root.
    file: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong and what to do.
    message: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A text file of the checkout.
#[derive(Debug)]
struct TextFile {
    /// Relative to the root, with `/` between folders.
    path: String,
    text: String,
    /// The same text with comments and literals replaced by spaces, so that prose does not mislead
    /// a rule about code. Each character keeps its line. The text itself where the file is not
    /// Rust.
    code: String,
}

impl TextFile {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { code::blank(&text) } else { text.clone() };
        Self { path, text, code }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns the lines of the code, numbered from 1.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }
}

/// Applies every rule and prints all findings.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let paths = workspace.files()?;
    let files = read(workspace, &paths)?;

    let mut findings = arrows::check(&workspace.metadata()?)?;
    findings.extend(top_level::check(&paths));
    findings.extend(forbid::check(&files));
    findings.extend(named_tests::check(&files));
    findings.extend(rooms::check(&files));
    for file in &files {
        findings.extend(words::check(file));
        findings.extend(links::check(file, &paths));
        findings.extend(named_files::check(file, &paths));
        findings.extend(error_texts::check(file));
        findings.extend(log_events::check(file));
        findings.extend(modules::check(file));
        findings.extend(prose::check(file));
        findings.extend(unsafe_code::check(file));
        findings.extend(waiting::check(file));
    }
    findings.sort_unstable();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} untidy places", findings.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Reads the files that are text; a file that is not UTF-8 has nothing to check.
fn read(workspace: &Workspace, paths: &[String]) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for path in paths {
        let bytes = fs::read(workspace.root().join(path))
            .with_context(|| format!("failed to read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile::new(path, text));
        }
    }
    Ok(files)
}
