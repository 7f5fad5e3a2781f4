//! Gets client libraries, in the versions that the files beside their stories pin. What was got once stays in a cache
//! outside the checkout, in a directory that is named after the pins.

use super::script;
use chaos_tests::report::say;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has `influxdb`.
pub(super) fn python() -> PathBuf {
    let pins = script("python/requirements.txt");
    let directory = prepared("python", &[&pins], |directory| {
        must(Command::new("python3").args(["-m", "venv"]).arg(directory));
        let mut pip = Command::new(directory.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        must(pip.arg(&pins));
    });
    directory.join("bin/python")
}

/// The `node_modules` that has `influx`.
pub(super) fn node() -> PathBuf {
    let pins = [script("node/package.json"), script("node/package-lock.json")];
    let directory = prepared("node", &[&pins[0], &pins[1]], |directory| {
        for file in &pins {
            let copied = std::fs::copy(file, directory.join(file.file_name().unwrap_or_default()));
            assert!(copied.is_ok(), "cannot copy {}: {copied:?}", file.display());
        }
        must(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(directory));
    });
    directory.join("node_modules")
}

/// The story in Go, compiled; `None` where there is no Go.
pub(super) fn go() -> Option<PathBuf> {
    Command::new("go").arg("version").output().ok()?;
    let source = script("go");
    let files = ["go.mod", "go.sum", "main.go"].map(|name| source.join(name));
    let directory = prepared("go", &[&files[0], &files[1], &files[2]], |directory| {
        let mut build = Command::new("go");
        build.args(["build", "-mod=readonly", "-o"]).arg(directory.join("story")).arg(".");
        must(build.env("GOTOOLCHAIN", "local").current_dir(&source));
    });
    Some(directory.join("story"))
}

/// The directory in the cache that `build` fills, for these pins; built at another place first, so that nobody finds it
/// half full.
fn prepared(name: &str, pins: &[&Path], build: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for pin in pins {
        let text =
            std::fs::read(pin).unwrap_or_else(|error| panic!("cannot read {}: {error}", pin.display()));
        text.hash(&mut hasher);
    }
    let directory = cache().join(format!("{name}-{:016x}", hasher.finish()));
    if directory.is_dir() {
        return directory;
    }
    say(&format!("clients: getting the library for {name} into {}", directory.display()));
    let building = directory.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&building)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", building.display()));
    build(&building);
    if std::fs::rename(&building, &directory).is_err() {
        // Another run was faster.
        assert!(directory.is_dir(), "cannot move {} to {}", building.display(), directory.display());
        drop(std::fs::remove_dir_all(&building));
    }
    directory
}

fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.unwrap_or_else(std::env::temp_dir).join("steadfast/clients")
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run {command:?}: {error}; scripts/install-deps.sh --for test installs what is lacking")
    });
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed; it needs the network once:\n{text}");
}
