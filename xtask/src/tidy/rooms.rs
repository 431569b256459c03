//! Rule: inside the big crates, dependencies between rooms only point down.
//!
//! A room is a folder below `src`. The files beside the rooms are the ground: values that every
//! room may use and that use no room. `lib.rs` is exempt, since it re-exports from all of them. So
//! is test code, which is everything behind `#[cfg(test)]`.

use std::collections::BTreeSet;

use super::module_map::{ModuleMap, Use, module_of};
use super::{Finding, TextFile, circles};

/// The rooms of a crate.
#[derive(Debug)]
struct Rooms {
    /// The folder of the sources, with a slash at the end.
    src: &'static str,
    /// Each room and those it may use, besides itself and the ground.
    arrows: &'static [(&'static str, &'static [&'static str])],
}

/// The crates that are large enough to need rooms. They are explained in docs/architecture.md.
const ROOMS: &[Rooms] = &[
    Rooms {
        src: "crates/knet-engine/src/",
        arrows: &[
            ("engine", &["host", "link", "send"]),
            ("host", &["link"]),
            ("link", &[]),
            ("send", &[]),
        ],
    },
    Rooms {
        src: "crates/knet-handle/src/",
        arrows: &[
            ("api", &["rx", "tx", "control", "core", "datafds", "io"]),
            ("rx", &["control", "core", "datafds", "io"]),
            ("tx", &["control", "core", "datafds", "io"]),
            ("control", &["core", "datafds", "io"]),
            ("core", &["datafds", "io"]),
            ("datafds", &["io"]),
            ("io", &[]),
        ],
    },
];

/// Checks the rooms, and every crate for circles of files.
pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for src in sources(files) {
        let map = ModuleMap::new(files, src);
        let rooms = ROOMS.iter().find(|rooms| rooms.src == src);
        findings.extend(circles::check(&map.uses, src));
        findings.extend(rooms.into_iter().flat_map(|rooms| rooms.check(files, &map)));
        findings.extend(map.findings);
    }
    findings
}

/// Returns the folders in which crates have their sources.
fn sources(files: &[TextFile]) -> BTreeSet<&str> {
    let roots = files.iter().filter_map(|file| {
        let path = file.path.as_str();
        path.strip_suffix("lib.rs").or_else(|| path.strip_suffix("main.rs"))
    });
    roots.filter(|folder| folder.ends_with("/src/")).collect()
}

impl Rooms {
    fn check(&self, files: &[TextFile], map: &ModuleMap) -> Vec<Finding> {
        let mut findings = self.undocumented(files);
        for file in &map.files {
            let room = self.room_of_file(file);
            if !room.is_empty() && self.allowed(room).is_none() {
                let message = format!(
                    "{room}/ is no room: move the file into one, or give {room} its place in \
                     docs/architecture.md and in xtask/src/tidy/rooms.rs"
                );
                findings.push(Finding::new(file.as_str(), 1, message));
            }
        }
        let mut seen: Vec<&Use> = Vec::new();
        for used in &map.uses {
            let Some(message) = self.judge(used, &map.files) else { continue };
            let is_known =
                |known: &&Use| known.file == used.file && used.path.starts_with(&known.path);
            // Each mention of a wrongly imported name would be reported again.
            if !seen.iter().any(is_known) {
                findings.push(Finding::new(used.file.as_str(), used.line, message));
                seen.push(used);
            }
        }
        findings
    }

    /// Returns why a use is not allowed.
    fn judge(&self, used: &Use, files: &[String]) -> Option<String> {
        let from = self.room_of_file(&used.file);
        if used.file == format!("{}lib.rs", self.src) {
            return None;
        }
        let path = used.path.join("::");
        let to = self.room_of_path(&used.path, files);
        let Some(to) = to else {
            return Some(format!(
                "crate::{path} is re-exported for users: inside the crate, use the path of its module"
            ));
        };
        let is_allowed = to.is_empty()
            || from == to
            || self.allowed(from).is_some_and(|allowed| allowed.contains(&to));
        (!is_allowed).then(|| {
            let (from, to) = (name(from), name(to));
            format!(
                "{from} must not use {to} (crate::{path}): move shared code down, or let the caller \
                 pass it in"
            )
        })
    }

    /// Returns the room of a file; the ground has no name.
    fn room_of_file<'a>(&self, file: &'a str) -> &'a str {
        let inside = file.strip_prefix(self.src).unwrap_or(file);
        inside.split_once('/').map_or("", |(room, _)| room)
    }

    /// Returns the room of a path, or `None` if it names a re-export of the root.
    fn room_of_path<'a>(&self, path: &'a [String], files: &[String]) -> Option<&'a str> {
        let first = path.first()?;
        let modules = || files.iter().filter_map(|file| Some((file, module_of(file, self.src)?)));
        let (file, _) = modules().find(|(_, module)| module.first() == Some(first))?;
        Some(if self.room_of_file(file).is_empty() { "" } else { first })
    }

    fn allowed(&self, room: &str) -> Option<&'static [&'static str]> {
        self.arrows.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
    }

    /// Reports rooms whose `mod.rs` does not state what belongs there.
    fn undocumented(&self, files: &[TextFile]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (room, _) in self.arrows {
            let path = format!("{}{room}/mod.rs", self.src);
            let file = files.iter().find(|file| file.path == path);
            let lines = file.map_or(0, |file| {
                file.text.lines().filter(|line| line.starts_with("//! ")).count()
            });
            if lines < 2 {
                let message = format!(
                    "the room {room} does not state its purpose: begin {room}/mod.rs with two lines of \
                     `//!` at least"
                );
                findings.push(Finding::new(path, 1, message));
            }
        }
        findings
    }
}

fn name(room: &str) -> &str {
    if room.is_empty() { "the ground" } else { room }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: Rooms = Rooms { src: "src/", arrows: &[("upper", &["lower"]), ("lower", &[])] };

    /// Returns the findings in a crate with two rooms, a file on the ground and these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let purpose = "//! A room.\n//! What is in it.\n";
        let common = [
            ("src/lib.rs", "//! Root.\nmod lower; mod upper; mod ground; pub use lower::a::A;"),
            ("src/ground.rs", "//! Ground."),
            ("src/lower/mod.rs", purpose),
            ("src/lower/a.rs", "//! A."),
            ("src/upper/mod.rs", purpose),
        ];
        let common = common.iter().filter(|(path, _)| files.iter().all(|(own, _)| own != path));
        let files: Vec<_> =
            common.chain(files).map(|(path, text)| TextFile::new(*path, *text)).collect();
        let map = ModuleMap::new(&files, "src/");
        assert_eq!(map.findings, []);
        let findings = ROOMS.check(&files, &map);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arrows_down_and_to_the_ground_are_fine() {
        let text = "use crate::{lower::a::A, ground}; use super::super::ground::G; use std::fs;";
        assert_eq!(found(&[("src/upper/b.rs", text)]), [""; 0]);
        assert_eq!(found(&[("src/lower/b.rs", "use super::a; use crate::lower::a;")]), [""; 0]);
    }

    #[test]
    fn an_arrow_up_is_found_however_it_is_written() {
        for text in [
            "\nuse crate::upper::B;",
            "\nuse crate::{ground, upper::{B, C}};",
            "\nuse super::super::upper::B;",
            "\nfn f(b: &crate::upper::B) {}",
            "\nfn f() { println!(\"{}\", crate::upper::B) }",
            "\nmod m { use super::super::super::upper::B; }",
            "\nuse crate::upper;\nfn f() -> upper::B { upper::B }",
        ] {
            let found = found(&[("src/lower/b.rs", text)]);
            assert!(!found.is_empty(), "{text}");
            for finding in &found {
                assert!(
                    finding.starts_with("src/lower/b.rs:2: lower must not use upper (crate::upper"),
                    "{text}: {finding}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_import_is_reported_once() {
        let text = "use crate::upper::B;\nfn f() -> B { B::new() }";
        assert_eq!(found(&[("src/lower/b.rs", text)]).len(), 1);
    }

    #[test]
    fn the_ground_uses_no_room() {
        let found = found(&[("src/ground.rs", "use crate::lower::a::A;")]);
        assert!(
            found[0].starts_with("src/ground.rs:1: the ground must not use lower"),
            "{found:?}"
        );
    }

    #[test]
    fn re_exports_of_the_root_are_for_users() {
        let found = found(&[("src/upper/b.rs", "use crate::A;")]);
        assert!(found[0].contains("crate::A is re-exported for users"), "{found:?}");
    }

    #[test]
    fn test_code_may_use_any_room() {
        let files = [
            ("src/lower/mod.rs", "//! A room.\n//! Low.\n#[cfg(test)]\nmod tests;"),
            ("src/lower/tests.rs", "use crate::upper::B; use crate::A;"),
            ("src/lower/b.rs", "#[cfg(test)]\nmod tests { use crate::upper::B; }"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn a_new_folder_is_found() {
        let found = found(&[("src/attic/mod.rs", "//! New.\n//! Unknown.")]);
        assert!(found[0].starts_with("src/attic/mod.rs:1: attic/ is no room"), "{found:?}");
    }

    #[test]
    fn a_room_states_its_purpose() {
        for text in ["//! Short.", "//!\n//!\n"] {
            let found = found(&[("src/upper/mod.rs", text)]);
            assert!(
                found[0].starts_with("src/upper/mod.rs:1: the room upper does not state"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn rooms_name_only_rooms_below() {
        for rooms in super::ROOMS {
            for (at, (room, allowed)) in rooms.arrows.iter().enumerate() {
                let below = &rooms.arrows[at + 1..];
                for lower in *allowed {
                    assert!(below.iter().any(|(name, _)| name == lower), "{room} and {lower}");
                }
            }
        }
    }

    #[test]
    fn every_crate_is_found_by_its_root() {
        let files =
            ["crates/a/src/lib.rs", "xtask/src/main.rs", "xtask/src/a/lib.rs", "tests/main.rs"]
                .map(|path| TextFile::new(path, ""));
        assert_eq!(
            sources(&files).into_iter().collect::<Vec<_>>(),
            ["crates/a/src/", "xtask/src/"]
        );
    }
}
