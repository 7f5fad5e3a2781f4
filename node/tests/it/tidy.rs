//! The rules of the workspace that a tool can check: who may depend on whom, which package has which home, and what
//! every source file begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Table;

/// Our crates and the ones each may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("query", &["model"]),
    ("proto", &["model"]),
    ("storage", &["model"]),
    ("api", &["query", "model"]),
    ("raft", &["storage", "proto", "model"]),
    ("node", &["model", "query", "proto", "storage", "api", "raft"]),
    ("chaos-tests", &["node", "model"]),
];

/// Packages that only one crate names.
const HOMES: &[(&str, &str)] =
    &[("openraft", "raft"), ("rocksdb", "storage"), ("axum", "api"), ("clap", "node")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifest(path: &Path) -> Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Every package a manifest names, with the section it stands in.
fn dependencies(manifest: &Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table);
    for table in std::iter::once(manifest).chain(tables) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                found.insert(package.to_owned(), section.to_owned());
            }
        }
    }
    found
}

/// Crate name and its dependencies, for every member of the workspace.
fn members() -> BTreeMap<String, BTreeMap<String, String>> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let read = |member: &toml::Value| {
        let manifest = manifest(&root().join(member.as_str().unwrap()).join("Cargo.toml"));
        (manifest["package"]["name"].as_str().unwrap().to_owned(), dependencies(&manifest))
    };
    members.iter().map(read).collect()
}

/// Every file below the crates, deployment, scripts and documents that git would keep.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || (name.starts_with('.') && name != ".ci") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    found.sort();
    found
}

#[test]
fn crates_depend_only_downwards() {
    let members = members();
    let ours: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(found, ours, "a crate is missing here or in the workspace");
    for (name, allowed) in MAY_DEPEND_ON {
        for (dependency, section) in &members[*name] {
            let fine = !ours.contains(dependency.as_str()) || allowed.contains(&dependency.as_str());
            assert!(
                fine,
                "{name} must not depend on {dependency} ([{section}]); it may depend on {allowed:?}"
            );
        }
    }
}

#[test]
fn packages_with_a_home_are_named_nowhere_else() {
    for (package, home) in HOMES {
        for (name, dependencies) in members() {
            let named = dependencies.contains_key(*package);
            assert!(!named || name == *home, "only {home} may name {package}, but {name} does");
            assert!(named || name != *home, "{home} no longer names {package}");
        }
    }
}

#[test]
fn only_proto_has_a_build_script() {
    for (name, dependencies) in members() {
        let script = root().join(&name).join("build.rs").exists();
        let built = dependencies.values().any(|section| section == "build-dependencies");
        assert!(name == "proto" || !(script || built), "{name} has a build script");
    }
}

#[test]
fn every_source_file_begins_with_what_it_is_for() {
    for path in all_files().iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("//! ") || text.starts_with("//!\n"),
            "{} has no module doc",
            path.display()
        );
    }
}

#[test]
fn no_text_names_a_place_of_one_machine() {
    // Put together here, so that this file does not name them either.
    let places = ["work", "home", "root", "Users"].map(|place| format!("/{place}/"));
    for path in all_files() {
        // What is no text holds no names.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for place in &places {
                // A path begins there: not in the middle of a URL or of another path.
                let begins = line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}$".contains(c))
                });
                assert!(!begins, "{}:{} names {place}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn the_architecture_names_every_crate() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for name in members().keys() {
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not mention `{name}`");
    }
}
