//! Where the program under test lies.

use std::path::{Path, PathBuf};

/// Environment variable that names the binary under test, when it is not beside the tests.
pub const BINARY_VARIABLE: &str = "STEADFAST_BIN";

/// The path of the `steadfast` binary: `STEADFAST_BIN`, or the one built into the target directory that holds the
/// running test.
///
/// Panics, naming the build command, when there is none: a missing binary must not look like a passing test.
pub fn steadfast() -> PathBuf {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().unwrap_or_default();
    let found =
        own.ancestors().skip(1).take(2).map(|directory| directory.join("steadfast")).find(|p| p.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no steadfast binary beside {}; build it first: cargo build --release --workspace (or set {BINARY_VARIABLE})",
            own.parent().unwrap_or(Path::new(".")).display()
        )
    })
}
