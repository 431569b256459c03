//! Rule: no files of a crate depend on each other in a circle.
//!
//! A module and the modules inside it are one unit to the rest of the crate, so they may use each
//! other. Only these circles and those of the groups below are allowed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Finding;
use super::module_map::Use;

/// Files that count as one, because they depend on each other by design: a handle makes hosts and datafds,
/// a host makes links, and each of them leads back to the handle. Each group has a name for findings.
const GROUPS: &[Group] = &[(
    "Handle and its children",
    &[
        "crates/knet-handle/src/api/handle.rs",
        "crates/knet-handle/src/api/audience.rs",
        "crates/knet-handle/src/api/builder.rs",
        "crates/knet-handle/src/api/datafd.rs",
        "crates/knet-handle/src/api/host.rs",
        "crates/knet-handle/src/api/link.rs",
        "crates/knet-handle/src/api/messages.rs",
        "crates/knet-handle/src/api/notify_thread.rs",
    ],
)];

/// A name, and the files that it stands for.
type Group = (&'static str, &'static [&'static str]);

/// For each file the files that it uses, with the first line that does.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// Checks the uses within one crate, whose sources are in `src`.
pub(super) fn check(uses: &[Use], src: &str) -> Vec<Finding> {
    judge(uses, src, GROUPS)
}

fn judge(uses: &[Use], src: &str, groups: &[Group]) -> Vec<Finding> {
    let node = |file| node(file, groups);
    let edges = || {
        uses.iter().filter_map(|used| {
            let (from, to) = (node(&used.file), node(used.target.as_deref()?));
            (from != to).then_some((from, to, used.line))
        })
    };
    // A circle that needs both a step into a module and a step out of it stays within that module.
    let without_out = graph(edges().filter(|(from, to, _)| !is_inside(from, to)));
    let without_in = graph(edges().filter(|(from, to, _)| !is_inside(to, from)));
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for graph in [without_out, without_in] {
        for circle in circles(&graph) {
            let mut members = circle.clone();
            members.sort_unstable();
            if seen.insert(members) {
                findings.push(finding(&graph, &circle, src));
            }
        }
    }
    findings
}

/// Returns the file itself, or the name of its group.
fn node<'a>(file: &'a str, groups: &[Group]) -> &'a str {
    groups.iter().find(|(_, files)| files.contains(&file)).map_or(file, |(name, _)| name)
}

/// Returns `true` if `file` is a module inside the module `other`.
fn is_inside(file: &str, other: &str) -> bool {
    let module = other.strip_suffix(".rs").unwrap_or(other);
    let module = module.strip_suffix("/mod").unwrap_or(module);
    file.strip_prefix(module).is_some_and(|rest| rest.starts_with('/')) && file != other
}

fn graph<'a>(edges: impl Iterator<Item = (&'a str, &'a str, usize)>) -> Graph<'a> {
    let mut graph = Graph::new();
    for (from, to, line) in edges {
        let first = graph.entry(from).or_default().entry(to).or_insert(line);
        *first = line.min(*first);
    }
    graph
}

/// Returns the shortest circle of each knot of files that all depend on each other. A circle begins and ends
/// with the same file.
fn circles<'a>(graph: &Graph<'a>) -> Vec<Vec<&'a str>> {
    let mut all: Vec<_> = graph.keys().filter_map(|&file| path(graph, file, file)).collect();
    all.sort_by_key(Vec::len);
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for circle in all {
        let is_linked = |from, to| path(graph, from, to).is_some();
        let is_known =
            |known: &Vec<&'a str>| is_linked(known[0], circle[0]) && is_linked(circle[0], known[0]);
        if !circles.iter().any(is_known) {
            circles.push(circle);
        }
    }
    circles
}

/// Returns the shortest path from one file to another, of at least one step.
fn path<'a>(graph: &Graph<'a>, from: &'a str, to: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        for &next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if next == to {
                let mut path = vec![to, file];
                while path.last() != Some(&from) {
                    path.extend(path.last().and_then(|last| came_from.get(last)).copied());
                }
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Reports a circle at its first file, which is no group.
fn finding(graph: &Graph<'_>, circle: &[&str], src: &str) -> Finding {
    let mut nodes = circle[..circle.len() - 1].to_vec();
    let first = nodes.iter().position(|node| node.ends_with(".rs")).unwrap_or(0);
    nodes.rotate_left(first);
    nodes.push(nodes[0]);
    let names: Vec<_> = nodes.iter().map(|node| node.strip_prefix(src).unwrap_or(node)).collect();
    let message = format!(
        "these files depend on each other: {}; move shared code into a file that needs neither",
        names.join(" -> ")
    );
    Finding::new(nodes[0], graph[nodes[0]][nodes[1]], message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the circles among files `a.rs`, …, given as pairs of user and used.
    fn found(uses: &[(&str, &str)], groups: &[Group]) -> Vec<String> {
        let uses: Vec<_> = (1..)
            .zip(uses)
            .map(|(line, (from, to))| Use {
                file: format!("src/{from}.rs"),
                line,
                path: Vec::new(),
                target: Some(format!("src/{to}.rs")),
            })
            .collect();
        let findings = judge(&uses, "src/", groups);
        let shown = findings.iter().map(|finding| {
            let (_, circle) = finding.message.split_once(": ").expect("a circle");
            let (circle, _) = circle.split_once(';').expect("what to do");
            format!("{}:{} {circle}", finding.file, finding.line)
        });
        shown.collect()
    }

    #[test]
    fn arrows_without_a_circle_are_fine() {
        assert_eq!(found(&[("a", "b"), ("b", "c"), ("a", "c")], &[]), [""; 0]);
        assert_eq!(found(&[("a", "a")], &[]), [""; 0]);
    }

    #[test]
    fn a_circle_is_shown_once_as_a_path_with_its_first_line() {
        let uses = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("a", "b")];
        assert_eq!(found(&uses, &[]), ["src/a.rs:1 a.rs -> b.rs -> c.rs -> a.rs"]);
    }

    #[test]
    fn two_circles_are_both_shown() {
        let uses = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")];
        assert_eq!(
            found(&uses, &[]),
            ["src/a.rs:1 a.rs -> b.rs -> a.rs", "src/c.rs:3 c.rs -> d.rs -> c.rs"]
        );
    }

    #[test]
    fn of_a_knot_the_shortest_circle_is_shown() {
        let uses = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")];
        assert_eq!(found(&uses, &[]), ["src/b.rs:2 b.rs -> c.rs -> b.rs"]);
    }

    #[test]
    fn a_module_and_those_inside_it_may_know_each_other() {
        assert_eq!(found(&[("a/mod", "a/b"), ("a/b", "a/mod")], &[]), [""; 0]);
        assert_eq!(found(&[("a", "a/b"), ("a/b", "a")], &[]), [""; 0]);
        assert_eq!(found(&[("a/mod", "a/b"), ("a/b", "a/c"), ("a/c", "a/mod")], &[]), [""; 0]);
        assert_eq!(found(&[("a", "ab"), ("ab", "a")], &[]).len(), 1);
    }

    #[test]
    fn siblings_and_strangers_may_not() {
        let siblings = [("a/b", "a/c"), ("a/c", "a/b"), ("a/mod", "a/b"), ("a/b", "a/mod")];
        assert_eq!(found(&siblings, &[]), ["src/a/b.rs:1 a/b.rs -> a/c.rs -> a/b.rs"]);
        let through_the_parent = [("a/b", "d"), ("d", "a/mod"), ("a/mod", "a/b")];
        assert_eq!(found(&through_the_parent, &[]).len(), 1);
        let through_a_child = [("a/b", "a/mod"), ("a/mod", "d"), ("d", "a/b")];
        assert_eq!(found(&through_a_child, &[]).len(), 1);
    }

    #[test]
    fn a_group_counts_as_one_file() {
        let group: &[Group] = &[("both", &["src/a.rs", "src/b.rs"])];
        assert_eq!(found(&[("a", "b"), ("b", "a")], group), [""; 0]);
        assert_eq!(found(&[("b", "c"), ("c", "a")], group), ["src/c.rs:2 c.rs -> both -> c.rs"]);
    }
}
