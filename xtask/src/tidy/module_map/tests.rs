//! Tests of reading paths and of resolving them.

use super::*;

/// Returns the uses among the files of a crate, as `file:line path -> file`.
fn uses(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(path, text)| TextFile::new(*path, *text)).collect();
    let map = ModuleMap::new(&files, "src/");
    assert_eq!(map.findings, []);
    let shown = map.uses.iter().map(|used| {
        let target = used.target.as_deref().unwrap_or("root");
        format!("{}:{} {} -> {target}", used.file, used.line, used.path.join("::"))
    });
    shown.collect()
}

/// Returns what `src/a/b.rs` uses of a crate in which the root re-exports from `src/a/mod.rs`, and
/// that from `src/a/c.rs`.
fn uses_of(text: &str) -> Vec<String> {
    let files = [
        ("src/lib.rs", "mod a; pub use a::C;"),
        ("src/a/mod.rs", "mod b; mod c; pub use c::{C, D as E};"),
        ("src/a/c.rs", "pub struct C; pub struct D;"),
        ("src/a/b.rs", text),
    ];
    let mut uses = uses(&files);
    uses.retain(|used| used.starts_with("src/a/b.rs"));
    uses
}

#[test]
fn files_are_modules() {
    let module = |file| module_of(file, "src/").map(|parts| parts.join("::"));
    assert_eq!(module("src/a/b.rs").as_deref(), Some("a::b"));
    assert_eq!(module("src/a/mod.rs").as_deref(), Some("a"));
    assert_eq!(module("src/lib.rs").as_deref(), Some(""));
    assert_eq!(module("src/a/main.rs").as_deref(), Some("a::main"));
    assert_eq!(module("tests/a.rs"), None);
    assert_eq!(module("src/a.md"), None);
}

#[test]
fn every_form_of_import_is_understood() {
    for text in [
        "use crate::a::c::C;",
        "use super::c::C;",
        "use super::{c::{C as D}};",
        "pub(crate) use crate::a::{c::C};",
        "fn f() { use super::c::C; }",
        "mod m { use super::super::c::C; }",
    ] {
        assert_eq!(uses_of(text), ["src/a/b.rs:1 a::c::C -> src/a/c.rs"], "{text}");
    }
    assert_eq!(uses_of("use super::c::*;"), ["src/a/b.rs:1 a::c -> src/a/c.rs"]);
    assert_eq!(uses_of("use super::c::{self};"), ["src/a/b.rs:1 a::c -> src/a/c.rs"]);
}

#[test]
fn paths_in_code_and_in_macros_are_seen() {
    for text in [
        "fn f(c: &super::c::C) {}",
        "impl T for super::c::C {}",
        "fn f() { let c = super::c::C; }",
        "fn f() { g!(x: super::c::C, [1]) }",
        "fn f() { g!(if a { super::c::C }) }",
    ] {
        assert_eq!(uses_of(text), ["src/a/b.rs:1 a::c::C -> src/a/c.rs"], "{text}");
    }
}

#[test]
fn names_that_were_imported_lead_on() {
    let found = uses_of("use crate::a;\nfn f() -> a::c::C {}");
    assert_eq!(found, ["src/a/b.rs:1 a -> src/a/mod.rs", "src/a/b.rs:2 a::c::C -> src/a/c.rs"]);
}

#[test]
fn re_exports_are_followed() {
    assert_eq!(uses_of("use crate::C;"), ["src/a/b.rs:1 C -> src/a/c.rs"]);
    assert_eq!(uses_of("use super::E;"), ["src/a/b.rs:1 a::E -> src/a/c.rs"]);
    assert_eq!(uses_of("use super::F;"), ["src/a/b.rs:1 a::F -> src/a/mod.rs"]);
    assert_eq!(uses_of("use crate::F;"), ["src/a/b.rs:1 F -> root"]);
}

#[test]
fn other_crates_and_the_file_itself_are_no_use() {
    for text in [
        "use std::fs; use ::a::c::C; use serde;",
        "fn f() { std::fs::read(self.a) }",
        "enum E { A } fn f() { self::E::A; E::A; }",
        "pub(in crate::a) fn f() {}",
        "use x; fn f() { x::y() }",
        "mod m { pub struct S; } use m::S;",
    ] {
        assert_eq!(uses_of(text), [""; 0], "{text}");
    }
}

#[test]
fn test_code_is_left_out() {
    for text in [
        "#[cfg(test)] use super::c::C;",
        "#[cfg(test)] mod tests { use super::super::c::C; }",
        "struct S; impl S { #[cfg(test)] fn f(c: super::c::C) {} }",
        "struct S { #[cfg(test)] c: super::c::C }",
    ] {
        assert_eq!(uses_of(text), [""; 0], "{text}");
    }
    let files = [
        ("src/lib.rs", "mod a; #[cfg(test)] mod scene;"),
        ("src/a.rs", "#[cfg(test)] mod tests;"),
        ("src/a/tests.rs", "use crate::scene; mod more;"),
        ("src/a/tests/more.rs", "use crate::a;"),
        ("src/scene.rs", "use crate::a;"),
    ];
    assert_eq!(uses(&files), [""; 0]);
}

#[test]
fn imports_in_a_circle_end() {
    assert_eq!(uses_of("use x::y; use y::x; fn f() { x::z() }"), [""; 0]);
    assert_eq!(uses_of("use self::g::g; fn f() { g::g::g() }").len(), 0);
}

#[test]
fn what_does_not_parse_is_reported_with_its_line() {
    let map = ModuleMap::new(&[TextFile::new("src/a.rs", "fn f() {}\nfn {")], "src/");
    assert_eq!(map.findings.len(), 1);
    assert_eq!(map.findings[0].line, 2);
}
