//! Recorded Heapster lines, and groups that know their series: shared by the benchmark of `/write` and the test that
//! counts its allocations.

use api::coordinator::WriteRequest;
use bytes::Bytes;
use flate2::read::GzDecoder;
use model::catalog::{Catalog, CatalogCommand, PolicySpec};
use model::{GroupId, placement};
use node::write::{Outcome, Prepared, Replicas, SeriesLimits, Surroundings, prepare};
use raft::command::DataCommand;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use storage::{ApplyMarker, ShardStore, Shared, StorageConfig};
use tempfile::TempDir;

/// Lines of a body, each of another series; as many as Heapster sends at once.
pub(crate) const LINES: usize = 10_000;
const GROUPS: u32 = 8;

/// A catalog and one node's replicas.
pub(crate) struct World {
    catalog: Catalog,
    replicas: Replicas,
    _dir: TempDir,
}

impl World {
    /// Groups without series, and a catalog that has the fields of `body`.
    pub(crate) fn new(body: &WriteRequest) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(&StorageConfig::default()).unwrap();
        let open = |group| Arc::new(ShardStore::open(&dir.path().join(format!("{group}")), &shared).unwrap());
        let stores: BTreeMap<_, _> = (1..=GROUPS).map(|group| (GroupId(group), open(group))).collect();
        let mut catalog = Catalog { slots: placement::even_slot_table(GROUPS).into(), ..Catalog::default() };
        let policy = PolicySpec::default();
        catalog.apply(&CatalogCommand::CreateDatabase { name: "k8s".into(), policy }).unwrap();
        let database = catalog.databases[0].id;
        let mut world = Self { catalog, replicas: Replicas { database, stores }, _dir: dir };
        if let Outcome::UnknownFields(fields) = world.outcome(body) {
            world.catalog.apply(&CatalogCommand::RegisterFields { database, fields }).unwrap();
        }
        world
    }

    /// Prepares a body that is good in every line.
    pub(crate) fn prepare(&self, body: &WriteRequest) -> Prepared {
        match self.outcome(body) {
            Outcome::Ready(prepared) => prepared,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(&self, body: &WriteRequest) -> Outcome {
        let around = Surroundings {
            database: &self.catalog.databases[0],
            slots: &self.catalog.slots,
            now_ns: 0,
            shard_origin: self.catalog.shard_origin(),
            series: &self.replicas,
            limits: SeriesLimits { series_max: 1_000_000, values_max: 100_000 },
        };
        prepare(body, &around)
    }

    /// Applies what was prepared.
    pub(crate) fn apply(&self, prepared: &Prepared) {
        for (group, commands) in &prepared.commands {
            let store = &self.replicas.stores[group];
            for command in commands {
                let DataCommand::Write(batch) = DataCommand::decode(command).unwrap() else { panic!() };
                let index = store.applied().index + 1;
                store.apply_write(batch, ApplyMarker { index, bytes: Vec::new() }).unwrap();
            }
        }
    }
}

/// Ten thousand recorded lines of different series, at a minute counted from the first scrape.
pub(crate) fn body(minute: i64) -> WriteRequest {
    static LINES_AS_RECORDED: OnceLock<Vec<String>> = OnceLock::new();
    let time = (1_795_235_260_000_000_000 + minute * 60_000_000_000).to_string();
    let mut body = String::new();
    for line in LINES_AS_RECORDED.get_or_init(recorded) {
        body.extend([line, " ", &time, "\n"]);
    }
    WriteRequest {
        database: "k8s".to_owned(),
        policy: String::new(),
        precision_ns: 1,
        consistency: String::new(),
        body: Bytes::from(body),
    }
}

/// The first line of each recorded series without its time, multiplied into clusters until there are enough.
fn recorded() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/heapster/heapster.http.gz");
    let mut text = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    let plain = text.lines().filter(|line| line.contains(" value=") && !line.contains('"'));
    let mut keys = BTreeSet::new();
    let lines: Vec<&str> = plain
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .filter(|line| line.rsplit_once(' ').is_some_and(|(key, _)| keys.insert(key)))
        .collect();
    let named = |(place, line): (usize, &&str)| {
        line.replace("cluster_name=default", &format!("cluster_name=c{}", place / lines.len()))
    };
    lines.iter().cycle().take(LINES).enumerate().map(named).collect()
}
