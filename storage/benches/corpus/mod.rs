//! Heapster-shaped series for benchmarks: one recorded scrape, made into many clusters.

use flate2::read::MultiGzDecoder;
use model::batch::{BatchHeader, BatchWriter, Row, RowSeries};
use model::placement::{SLOTS, even_slot_table, slot};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, FieldId, RetentionPolicyId};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use storage::ShardStore;

/// Groups of a default cluster.
pub(crate) const GROUPS: usize = 8;
/// First scrape; then one a minute.
const START_NS: i64 = 1_700_000_000_000_000_000;
const INTERVAL_NS: i64 = 60_000_000_000;

/// One line of the recorded scrape.
struct Template {
    key: String,
    field: FieldId,
    value: i64,
    whole: bool,
}

/// A scrape of several thousand series that any number of clusters repeat with names of their own.
pub(crate) struct Corpus {
    templates: Vec<Template>,
    groups: Vec<usize>,
}

impl Corpus {
    /// Reads the recorded scrape.
    pub(crate) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/heapster/heapster.http.gz");
        let mut text = Vec::new();
        MultiGzDecoder::new(File::open(path).expect("recording")).read_to_end(&mut text).expect("recording");
        let text = String::from_utf8_lossy(&text);
        let mut measurements = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains(" value=")).take(4_000) {
            let (key, rest) = line.rsplit_once(" value=").expect("a field");
            let raw = rest.split(' ').next().expect("a value");
            let measurement = key.split(',').next().expect("a measurement").to_owned();
            let next = measurements.len() as u32;
            let field = FieldId(*measurements.entry(measurement).or_insert(next));
            let value: f64 = raw.trim_end_matches('i').parse().expect("a number");
            let template =
                Template { key: key.to_owned(), field, value: value as i64, whole: raw.ends_with('i') };
            seen.entry(key.to_owned()).or_insert(template);
        }
        // The order of measurements is what a Heapster sends.
        let templates = seen.into_values().collect();
        let groups =
            even_slot_table(GROUPS as u32).iter().map(|group| group.0 as usize - 1).collect::<Vec<_>>();
        assert_eq!(groups.len(), SLOTS);
        Self { templates, groups }
    }

    /// Series of one cluster.
    pub(crate) fn series_per_cluster(&self) -> usize {
        self.templates.len()
    }

    /// The batches of one cluster's scrape, one a group, and how many rows each has. Series are named by id where
    /// `stores` know them.
    pub(crate) fn scrape(&self, stores: &[ShardStore], cluster: usize, scrape: i64) -> Vec<(Vec<u8>, usize)> {
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(1),
            shard_duration_ns: 7 * 24 * 3_600_000_000_000,
            shard_origin: ShardOrigin::YearOne,
        };
        let mut writers: Vec<BatchWriter> = (0..GROUPS).map(|_| BatchWriter::new(header)).collect();
        let time = START_NS + scrape * INTERVAL_NS;
        for (n, template) in self.templates.iter().enumerate() {
            let key = rename(&template.key, cluster);
            let group = self.groups[usize::from(slot("k8s", key.as_bytes()))];
            let known = stores.get(group).and_then(|s| s.lookup_series(header.database, key.as_bytes()));
            let series = known.map_or_else(|| writers[group].add_series(key.as_bytes()), RowSeries::Known);
            let number = value(template, (cluster * self.templates.len() + n) as u64, scrape);
            let value =
                if template.whole { ValueRef::Integer(number) } else { ValueRef::Float(number as f64 / 7.0) };
            writers[group].push(&Row { series, time, field: template.field, value });
        }
        let finished = writers.into_iter().map(|writer| {
            let (mut bytes, rows) = (Vec::new(), writer.len());
            writer.finish(&mut bytes);
            (bytes, rows)
        });
        finished.collect()
    }
}

/// Half of Heapster's series never change, a quarter count up, a quarter walk.
fn value(template: &Template, n: u64, scrape: i64) -> i64 {
    let noise =
        (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (scrape as u64).wrapping_mul(0xD134_2543_DE82_EF95)) >> 20;
    match n % 4 {
        0 | 1 => template.value,
        2 => template.value + scrape * 4_000_000 + (noise % 1_000_000) as i64,
        _ => template.value + (noise % 50) as i64 * 4_096,
    }
}

fn rename(key: &str, cluster: usize) -> String {
    let mut renamed = String::with_capacity(key.len() + 24);
    for (n, part) in key.split(',').enumerate() {
        if n > 0 {
            renamed.push(',');
        }
        renamed.push_str(part);
        if ["cluster_name=", "nodename=", "pod_name="].iter().any(|tag| part.starts_with(tag)) {
            renamed.push_str("-c");
            renamed.push_str(&cluster.to_string());
        }
    }
    renamed
}
