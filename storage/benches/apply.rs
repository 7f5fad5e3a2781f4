//! What applying a write costs, by the number of series in the group: `cargo bench -p storage --bench apply`.

mod corpus;

use corpus::Corpus;
use divan::Bencher;
use divan::counter::ItemsCount;
use storage::{ApplyMarker, ShardStore, Shared, StorageConfig};

fn main() {
    divan::main();
}

/// Stores whose series are known, with `clusters` times 4,000 series.
fn stores(corpus: &Corpus, clusters: usize) -> (Vec<ShardStore>, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("directory");
    let shared = Shared::new(&StorageConfig::default()).expect("RocksDB");
    let open = |group: usize| ShardStore::open(&dir.path().join(group.to_string()), &shared).expect("store");
    let stores: Vec<ShardStore> = (0..corpus::GROUPS).map(open).collect();
    for cluster in 0..clusters {
        for (store, (batch, _)) in stores.iter().zip(corpus.scrape(&stores, cluster, 0)) {
            store.apply_write(&batch, ApplyMarker::default()).expect("applied");
        }
    }
    for store in &stores {
        store.flush().expect("flushed");
    }
    (stores, dir)
}

/// A scrape of series that the group knows, into heads of up to some dozen points.
#[divan::bench(args = [10, 50], sample_count = 20, sample_size = 1)]
fn known_series(bencher: Bencher<'_, '_>, clusters: usize) {
    let corpus = Corpus::load();
    let (stores, _dir) = stores(&corpus, clusters);
    let mut scrape = 0;
    let rows: usize = clusters * corpus.series_per_cluster();
    bencher
        .counter(ItemsCount::new(rows))
        .with_inputs(|| {
            scrape += 1;
            (0..clusters).map(|cluster| corpus.scrape(&stores, cluster, scrape)).collect::<Vec<_>>()
        })
        .bench_local_values(|batches| {
            for (store, (batch, _)) in batches.iter().flat_map(|batches| stores.iter().zip(batches)) {
                store.apply_write(batch, ApplyMarker::default()).expect("applied");
            }
        });
}
