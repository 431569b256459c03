//! `cargo xtask package`: is every published crate complete, and does it build from its own package?
//!
//! A crate is published unless its manifest has `publish = false`. Its manifest, then the list of
//! files in its package are compared with what crates.io and docs.rs show to a reader. Then cargo makes all
//! packages and builds each from nothing but its package and those of the crates it depends on, which
//! stand in for the registry.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, Package};
use xshell::cmd;

use crate::workspace::Workspace;

/// Files without which a package is incomplete.
const REQUIRED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// Files that cargo adds to a package.
const GENERATED: &[&str] = &[".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];
/// Folders of a package; whatever else lies in a crate's folder is there by mistake.
const FOLDERS: &[&str] = &["benches/", "examples/", "src/", "tests/"];
/// The longest file of a package, in bytes. Sources are far shorter; a recording or a program is not.
const MAX_FILE: u64 = 64 * 1024;

/// What `cargo xtask package` takes.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Does not ask the registry whether it would take the packages.
    #[arg(long)]
    offline: bool,
}

/// Checks all published crates, then makes and builds their packages.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let metadata = workspace.metadata()?;
    let mut problems = Vec::new();
    for package in in_order(&metadata) {
        let found = check(workspace, package).unwrap_or_else(|error| vec![format!("{error:#}")]);
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", package.name)));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    build(workspace, &metadata, options)
}

/// Returns what is wrong with a crate's manifest and the files of its package.
fn check(workspace: &Workspace, package: &Package) -> Result<Vec<String>> {
    let shell = workspace.shell();
    let name = package.name.as_str();
    let list = cmd!(shell, "cargo package --list --allow-dirty --package {name}").quiet().read()?;
    let files: Vec<&str> = list.lines().collect();
    println!("{name} {}: {} files", package.version, files.len());
    let folder = package.manifest_path.as_std_path().parent().context("a manifest in /")?;
    Ok([of_manifest(package), of_list(&files), of_sizes(folder, &files)].concat())
}

/// Makes and builds every package. Uncommitted changes are packaged as well.
fn build(workspace: &Workspace, metadata: &Metadata, options: &Options) -> Result<()> {
    // Cargo takes packages of a known version for unchanged, so nothing may be left of earlier ones.
    let target_dir = workspace.target()?.join("xtask/package");
    remove(&target_dir)?;
    forget(&cargo_home()?.join("registry"), metadata)?;
    let shell = workspace.shell();
    let _target = shell.push_env("CARGO_TARGET_DIR", &target_dir);
    let _debug = shell.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
    let common = ["--workspace", "--allow-dirty", "--locked"];
    if options.offline {
        // Unlike `cargo publish`, this does not leave out what is not published.
        let others = metadata.packages.iter().filter(|package| !is_published(package));
        let excluded = others.flat_map(|package| ["--exclude", package.name.as_str()]);
        cmd!(shell, "cargo package {common...} --offline {excluded...}").run()?;
    } else {
        cmd!(shell, "cargo publish {common...} --dry-run").run()?;
    }
    Ok(())
}

/// Removes earlier packages that cargo has unpacked into its home.
fn forget(registry: &Path, metadata: &Metadata) -> Result<()> {
    let names: Vec<String> = in_order(metadata)
        .iter()
        .map(|package| format!("{}-{}", package.name, package.version))
        .collect();
    for folder in ["cache", "src"].map(|folder| registry.join(folder)) {
        // Nothing is kept before the first download.
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries {
            let kept = entry?.path();
            // Registries that are folders have no host in their names.
            let is_folder =
                kept.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"-"));
            for name in names.iter().filter(|_| is_folder) {
                remove(&kept.join(name))?;
                remove(&kept.join(format!("{name}.crate")))?;
            }
        }
    }
    Ok(())
}

/// Removes a file or a folder, if it exists.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the folder in which cargo keeps what it downloads.
fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(Path::new(&home).join(".cargo"))
}

fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// Returns the published crates, each after those it depends on: the order in which they can be
/// published.
fn in_order(metadata: &Metadata) -> Vec<&Package> {
    let mut rest: Vec<&Package> =
        metadata.packages.iter().filter(|package| is_published(package)).collect();
    let mut ordered = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let names: Vec<&str> = rest.iter().map(|package| package.name.as_str()).collect();
        let is_ready = |package: &Package| {
            let mut uses = package.dependencies.iter().map(|dependency| dependency.name.as_str());
            uses.all(|used| !names.contains(&used))
        };
        let (ready, blocked) =
            rest.iter().partition::<Vec<&Package>, _>(|package| is_ready(package));
        // Cargo has refused crates that depend on each other before this runs.
        assert!(!ready.is_empty(), "{names:?} depend on each other");
        ordered.extend(ready);
        rest = blocked;
    }
    ordered
}

/// Returns what crates.io and docs.rs show and the manifest lacks.
fn of_manifest(package: &Package) -> Vec<String> {
    let documentation = format!("https://docs.rs/{}", package.name);
    let fields = [
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("repository", package.repository.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("categories", !package.categories.is_empty()),
        ("keywords", !package.keywords.is_empty()),
    ];
    let mut problems: Vec<String> = fields
        .iter()
        .filter(|(_, is_given)| !is_given)
        .map(|(field, _)| format!("its manifest has no `{field}`: crates.io shows it"))
        .collect();
    if package.documentation.as_ref() != Some(&documentation) {
        problems.push(format!("its manifest needs `documentation = \"{documentation}\"`"));
    }
    if package.readme.as_ref().is_none_or(|readme| readme != "README.md") {
        problems.push("its manifest needs `readme = \"README.md\"`".to_owned());
    }
    problems
}

/// Returns what a package's list of files lacks, and which files do not belong there.
fn of_list(files: &[&str]) -> Vec<String> {
    let missing = REQUIRED
        .iter()
        .filter(|required| !files.contains(required))
        .map(|required| format!("{required} is missing from the package"));
    let has_sources = files.iter().any(|file| matches!(*file, "src/lib.rs" | "src/main.rs"));
    let no_sources =
        (!has_sources).then(|| "the package has neither src/lib.rs nor src/main.rs".to_owned());
    let is_expected = |file: &str| {
        let is_source = FOLDERS.iter().any(|folder| file.starts_with(folder));
        is_source || REQUIRED.contains(&file) || GENERATED.contains(&file)
    };
    let strangers = files.iter().filter(|file| !is_expected(file)).map(|file| {
        format!("{file} does not belong in a package: move it out of the crate's folder")
    });
    missing.chain(no_sources).chain(strangers).collect()
}

/// Returns files that are too long, or missing although they are listed.
fn of_sizes(folder: &Path, files: &[&str]) -> Vec<String> {
    let own = files.iter().filter(|file| !GENERATED.contains(file));
    own.filter_map(|file| match fs::metadata(folder.join(file)) {
        Err(error) => Some(format!("{file}: {error}")),
        Ok(metadata) if metadata.len() > MAX_FILE => {
            Some(format!("{file} has {} bytes, {MAX_FILE} is the limit", metadata.len()))
        }
        Ok(_) => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a manifest as cargo describes it, with these fields and dependencies.
    fn package(name: &str, uses: &[&str], more: serde_json::Value) -> Package {
        let dependencies: Vec<_> = uses
            .iter()
            .map(|used| {
                serde_json::json!({
                    "name": used, "req": "*", "kind": null, "optional": false,
                    "uses_default_features": true, "features": [], "target": null,
                })
            })
            .collect();
        let mut fields = serde_json::json!({
            "name": name, "version": "0.1.0", "id": name, "dependencies": dependencies,
            "targets": [], "features": {}, "manifest_path": format!("/{name}/Cargo.toml"),
        });
        let more = more.as_object().expect("fields").clone();
        fields.as_object_mut().expect("fields").extend(more);
        serde_json::from_value(fields).expect("a package")
    }

    fn workspace_of(packages: &[Package]) -> Metadata {
        serde_json::from_value(serde_json::json!({
            "packages": packages, "workspace_members": [], "resolve": null, "version": 1,
            "workspace_root": "/", "target_directory": "/target",
        }))
        .expect("a workspace")
    }

    #[test]
    fn crates_come_after_what_they_depend_on() {
        let metadata = workspace_of(&[
            package("upper", &["middle", "lower", "libc"], serde_json::json!({})),
            package("middle", &["lower"], serde_json::json!({})),
            package("tests", &["upper"], serde_json::json!({ "publish": [] })),
            package("lower", &[], serde_json::json!({})),
        ]);
        let names: Vec<_> = in_order(&metadata).iter().map(|p| p.name.clone()).collect();
        assert_eq!(names, ["lower", "middle", "upper"]);
    }

    #[test]
    fn a_complete_manifest_has_no_problem() {
        let complete = serde_json::json!({
            "description": "d", "license": "MIT", "repository": "r", "rust_version": "1.85",
            "categories": ["c"], "keywords": ["k"], "readme": "README.md",
            "documentation": "https://docs.rs/a",
        });
        assert_eq!(of_manifest(&package("a", &[], complete)), [""; 0]);
    }

    #[test]
    fn each_missing_field_is_named() {
        let problems = of_manifest(&package("a", &[], serde_json::json!({}))).join("\n");
        for field in [
            "description",
            "license",
            "repository",
            "rust-version",
            "keywords",
            "docs.rs/a",
            "readme",
        ] {
            assert!(problems.contains(field), "{field}: {problems}");
        }
    }

    #[test]
    fn missing_files_and_strangers_are_found() {
        let complete = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs"];
        assert_eq!(of_list(&complete), [""; 0]);
        assert_eq!(of_list(&[&complete[..], &["Cargo.lock", "tests/a.rs"]].concat()), [""; 0]);
        let problems = of_list(&["Cargo.toml", "LICENSE-MIT", "README.md", "target/debug/a"]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("LICENSE-APACHE is missing"), "{problems:?}");
        assert!(problems[1].contains("src/lib.rs"), "{problems:?}");
        assert!(problems[2].starts_with("target/debug/a does not belong"), "{problems:?}");
    }

    #[test]
    fn only_own_packages_of_folders_are_forgotten() {
        let registry = tempfile::tempdir().expect("a folder");
        let paths =
            ["src/-1/a-0.1.0", "src/index-1/a-0.1.0", "src/-1/b-0.1.0", "cache/-1/a-0.1.0.crate"]
                .map(|path| registry.path().join(path));
        for path in &paths {
            fs::create_dir_all(path).expect("made");
        }
        let metadata = workspace_of(&[package("a", &[], serde_json::json!({}))]);
        forget(registry.path(), &metadata).expect("removed");
        assert_eq!(paths.map(|path| path.exists()), [false, true, true, false]);
        forget(&registry.path().join("missing"), &metadata).expect("nothing to do");
    }

    #[test]
    fn long_files_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let longest = usize::try_from(MAX_FILE).expect("it fits");
        fs::write(folder.path().join("README.md"), vec![b'a'; longest]).expect("written");
        fs::write(folder.path().join("core"), vec![b'a'; longest + 1]).expect("written");
        let problems = of_sizes(folder.path(), &["README.md", "core", "Cargo.lock", "gone"]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("core has"), "{problems:?}");
        assert!(problems[1].starts_with("gone: "), "{problems:?}");
    }
}
