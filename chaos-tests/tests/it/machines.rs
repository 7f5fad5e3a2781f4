//! Machines that misbehave: disks that hang or fail, clocks that jump.
//!
//! A small library between the nodes and the machine (`testdata/machine_shim.c`, built here with the C compiler that the
//! storage engine needs anyway) does what lies in a directory that a test writes.

use chaos_tests::{Cluster, Settings, WorkDir};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machines of a cluster's nodes: one directory a node that the library reads and writes.
pub(crate) struct Machines {
    directory: WorkDir,
    library: PathBuf,
}

impl Machines {
    pub(crate) fn new() -> Self {
        let directory = WorkDir::new("machines");
        let library = directory.path().join("machine_shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/testdata/machine_shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let built = compiler.status().is_ok_and(|status| status.success());
        assert!(built, "cannot build the library between the nodes and the machine: cc is needed");
        for node in 0..3 {
            fs::create_dir(directory.path().join(node.to_string())).unwrap();
        }
        Self { directory, library }
    }

    /// A cluster of three nodes on these machines.
    pub(crate) fn start(&self, settings: &Settings) -> Cluster {
        let mut cluster = Cluster::stopped(settings);
        self.launch_all(&mut cluster);
        cluster
    }

    /// Starts all nodes of `cluster`, and waits until they are ready.
    pub(crate) fn launch_all(&self, cluster: &mut Cluster) {
        for node in 0..cluster.size() {
            self.launch(cluster, node);
        }
        cluster.start_all();
    }

    /// Starts one node.
    pub(crate) fn launch(&self, cluster: &mut Cluster, node: usize) {
        let variable = |name: &str, value: &Path| (name.to_owned(), value.display().to_string());
        let machine = self.of(node);
        cluster.launch_with(
            node,
            &[variable("LD_PRELOAD", &self.library), variable("STEADFAST_TEST_MACHINE", &machine)],
        );
    }

    fn of(&self, node: usize) -> PathBuf {
        self.directory.path().join(node.to_string())
    }

    /// From now on the syncs of a node's Raft log do not return.
    pub(crate) fn hang(&self, node: usize) {
        File::create(self.of(node).join("hang")).unwrap();
    }

    pub(crate) fn release(&self, node: usize) {
        fs::remove_file(self.of(node).join("hang")).unwrap();
    }

    /// From now on each sync of a node's Raft log takes so much longer.
    pub(crate) fn slow_down(&self, node: usize, by_ms: u64) {
        self.say(node, "slow", &by_ms.to_string());
    }

    pub(crate) fn speed_up(&self, node: usize) {
        fs::remove_file(self.of(node).join("slow")).unwrap();
    }

    /// From now on syncs of a node's files fail whose paths contain `word`.
    pub(crate) fn fail(&self, node: usize, word: &str) {
        self.say(node, "fail", word);
    }

    pub(crate) fn repair(&self, node: usize) {
        fs::remove_file(self.of(node).join("fail")).unwrap();
    }

    /// From now on a node's wall clock is so many seconds ahead of the right time.
    pub(crate) fn set_clock(&self, node: usize, ahead_s: i64) {
        self.say(node, "clock", &ahead_s.to_string());
    }

    /// In one step, so that half a text is never read.
    fn say(&self, node: usize, name: &str, text: &str) {
        let new = self.of(node).join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.of(node).join(name)).unwrap();
    }

    /// Synced length of every log file of a node.
    pub(crate) fn synced(&self, node: usize) -> BTreeMap<PathBuf, u64> {
        let text = fs::read_to_string(self.of(node).join("synced")).unwrap_or_default();
        let entry = |line: &str| {
            let (length, path) = line.split_once(' ')?;
            Some((PathBuf::from(path), length.parse().ok()?))
        };
        text.lines().filter_map(entry).collect()
    }
}
