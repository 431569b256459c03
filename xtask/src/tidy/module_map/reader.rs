//! Collects the paths that a file mentions, with the module that each stands in.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::{Mention, Path, Scope};

/// Collects the paths of a file.
pub(super) struct Reader<'a> {
    file: &'a str,
    scope: Path,
    pub(super) scopes: BTreeMap<Path, Scope>,
    pub(super) mentions: Vec<Mention>,
    /// Modules that are files and behind `#[cfg(test)]`.
    pub(super) tests: Vec<Path>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, module: Path) -> Self {
        let mut reader = Self {
            file,
            scope: module,
            scopes: BTreeMap::new(),
            mentions: Vec::new(),
            tests: Vec::new(),
        };
        reader.open_scope();
        reader
    }

    fn open_scope(&mut self) {
        let scope = Scope { file: self.file.to_owned(), imports: BTreeMap::new() };
        self.scopes.insert(self.scope.clone(), scope);
    }

    fn mention(&mut self, line: usize, path: Path) {
        let (file, scope) = (self.file.to_owned(), self.scope.clone());
        self.mentions.push(Mention { file, line, scope, path });
    }

    /// Reads a tree of `use`, below the segments that lead to it.
    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
            syn::UseTree::Glob(glob) => {
                self.mention(glob.star_token.spans[0].start().line, before.to_vec());
            }
            syn::UseTree::Name(name) => self.import(&name.ident, with(&name.ident)),
            syn::UseTree::Rename(rename) => self.import(&rename.rename, with(&rename.ident)),
        }
    }

    fn import(&mut self, name: &syn::Ident, mut path: Path) {
        let line = name.span().start().line;
        let mut name = name.to_string();
        // `use a::{self}` imports `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
            if name == "self" {
                name = path.last().cloned().unwrap_or_default();
            }
        }
        if let Some(scope) = self.scopes.get_mut(&self.scope) {
            scope.imports.insert(name, path.clone());
        }
        self.mention(line, path);
    }

    /// Collects the paths of at least two segments from tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    if path.is_empty() {
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                }
                _ => {
                    self.end_of_path(line, &mut path);
                    colons = 0;
                    if let TokenTree::Ident(ident) = &token {
                        line = ident.span().start().line;
                        path.push(ident.to_string());
                    }
                }
            }
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
        self.end_of_path(line, &mut path);
    }

    fn end_of_path(&mut self, line: usize, path: &mut Path) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.mention(line, path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item {
            self.tests.push([&self.scope[..], &[module.ident.to_string()]].concat());
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() {
            self.scope.push(module.ident.to_string());
            self.open_scope();
            visit::visit_item_mod(self, module);
            self.scope.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.tree(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.mention(line, segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, makro: &'ast syn::Macro) {
        self.tokens(makro.tokens.clone());
        visit::visit_macro(self, makro);
    }

    /// Skips visibilities: `pub(in crate::a)` uses nothing of `a`.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns `true` if one of the attributes is `#[cfg(test)]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}
