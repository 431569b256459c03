//! The modules of a crate, and what each of them uses of the others.
//!
//! Code is parsed, so that groups, `super`, paths inside expressions and re-exports are all
//! understood. Test code is left out: everything behind `#[cfg(test)]`, in the same file or in one
//! of its own. The arguments of a macro are not parsed; their paths are taken from the tokens.

mod reader;

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use self::reader::Reader;
use super::{Finding, TextFile};

/// How many re-exports are followed from a path to its item.
const MAX_HOPS: usize = 8;

/// A path to a module or an item, from the crate's root unless said otherwise.
pub(super) type Path = Vec<String>;

/// A place where one file uses another of the same crate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Use {
    /// The file that uses the other, relative to the workspace's root.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The used path as it is written, but from the crate's root.
    pub(super) path: Path,
    /// The file that defines it, found through re-exports; `None` for the crate's root.
    pub(super) target: Option<String>,
}

/// A crate's source files and what they use of one another.
#[derive(Debug, Default)]
pub(super) struct ModuleMap {
    /// The files without test code and the root.
    pub(super) files: Vec<String>,
    pub(super) uses: Vec<Use>,
    /// Files that could not be parsed.
    pub(super) findings: Vec<Finding>,
}

impl ModuleMap {
    /// Reads the crate whose sources are in the folder `src`, which ends with a slash.
    pub(super) fn new(files: &[TextFile], src: &str) -> Self {
        let mut map = Self::default();
        let mut scopes = Scopes::default();
        let mut mentions = Vec::new();
        let mut tests = BTreeSet::new();
        for file in files {
            let Some(module) = module_of(&file.path, src) else { continue };
            let syntax = match syn::parse_file(&file.text) {
                Ok(syntax) => syntax,
                Err(error) => {
                    let line = error.span().start().line;
                    map.findings.push(Finding::new(file.path.as_str(), line, error.to_string()));
                    continue;
                }
            };
            let mut reader = Reader::new(&file.path, module);
            reader.visit_file(&syntax);
            scopes.0.extend(reader.scopes);
            mentions.extend(reader.mentions);
            tests.extend(reader.tests);
        }
        scopes.0.retain(|module, _| !is_in(&tests, module));
        mentions.retain(|mention| !is_in(&tests, &mention.scope));
        let inside = scopes.0.iter().filter(|(module, _)| !module.is_empty());
        let mut files: Vec<String> = inside.map(|(_, scope)| scope.file.clone()).collect();
        files.sort_unstable();
        files.dedup();
        map.files = files;
        map.uses = mentions.iter().filter_map(|mention| scopes.resolve(mention)).collect();
        map
    }
}

/// Returns `true` if the module or one that contains it is among these.
fn is_in(modules: &BTreeSet<Path>, module: &[String]) -> bool {
    (1..=module.len()).any(|length| modules.contains(&module[..length]))
}

/// Returns the module of a file of the crate, or `None` for other files.
pub(super) fn module_of(file: &str, src: &str) -> Option<Path> {
    let inside = file.strip_prefix(src)?.strip_suffix(".rs")?;
    let mut parts: Path = inside.split('/').map(str::to_owned).collect();
    match parts.last().map(String::as_str) {
        Some("mod") => _ = parts.pop(),
        Some("lib" | "main") if parts.len() == 1 => parts.clear(),
        _ => {}
    }
    Some(parts)
}

/// A path somewhere in the code.
#[derive(Debug)]
struct Mention {
    file: String,
    line: usize,
    /// The module around it.
    scope: Path,
    /// The path as it is written.
    path: Path,
}

/// A module: a file, or a block inside a file.
#[derive(Debug)]
struct Scope {
    file: String,
    /// The names that it imports or re-exports, with the paths as they are written.
    imports: BTreeMap<String, Path>,
}

/// All modules of a crate.
#[derive(Debug, Default)]
struct Scopes(BTreeMap<Path, Scope>);

impl Scopes {
    /// Resolves a mention; `None` if it names another crate or its own file.
    fn resolve(&self, mention: &Mention) -> Option<Use> {
        let path = self.absolute(&mention.scope, &mention.path, 0)?;
        let mut end = path.clone();
        for _ in 0..MAX_HOPS {
            let length = self.module_in(&end);
            let Some(name) = end.get(length) else { break };
            let Some(import) = self.0.get(&end[..length]).and_then(|it| it.imports.get(name))
            else {
                break;
            };
            let Some(mut next) = self.absolute(&end[..length], import, 0) else { break };
            next.extend_from_slice(&end[length + 1..]);
            end = next;
        }
        let length = self.module_in(&end);
        let target = match self.0.get(&end[..length]) {
            Some(scope) if length > 0 => Some(scope.file.clone()),
            _ => None,
        };
        let is_own =
            target.as_ref() == Some(&mention.file) && self.file_of(&path) == target.as_ref();
        (!is_own).then(|| Use { file: mention.file.clone(), line: mention.line, path, target })
    }

    fn file_of(&self, path: &[String]) -> Option<&String> {
        self.0.get(&path[..self.module_in(path)]).map(|scope| &scope.file)
    }

    /// Returns how many segments of the path name a module. The rest is an item.
    fn module_in(&self, path: &[String]) -> usize {
        (0..=path.len()).rev().find(|&length| self.0.contains_key(&path[..length])).unwrap_or(0)
    }

    /// Returns the path from the root that is meant by a path inside `scope`; `None` if it leaves
    /// the crate.
    fn absolute(&self, scope: &[String], path: &[String], hops: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([scope, rest].concat()),
            "super" => {
                let (_, parent) = scope.split_last()?;
                if rest.first().is_some_and(|next| next == "super") {
                    self.absolute(parent, rest, hops)
                } else {
                    Some([parent, rest].concat())
                }
            }
            _ => {
                let child = [scope, std::slice::from_ref(first)].concat();
                if self.0.contains_key(&child) {
                    return Some([scope, path].concat());
                }
                let import = self.0.get(scope)?.imports.get(first)?;
                if hops == MAX_HOPS || import.first() == Some(first) {
                    return None;
                }
                let mut found = self.absolute(scope, import, hops + 1)?;
                found.extend_from_slice(rest);
                Some(found)
            }
        }
    }
}

#[cfg(test)]
mod tests;
