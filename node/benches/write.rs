//! From the bytes of a body to its commands, and from the commands to the heads: ns for a point, over real groups.
//! `cargo bench --release` would build another profile; run `cargo bench -p node --bench write --profile release`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

mod support;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use support::{LINES, World, body};

fn main() {
    divan::main();
}

#[divan::bench]
fn prepare_known_series(bencher: Bencher<'_, '_>) {
    let first = body(0);
    let world = World::new(&first);
    world.apply(&world.prepare(&first));
    let next = body(1);
    let count = (ItemsCount::new(LINES), BytesCount::new(next.body.len()));
    bencher.counter(count.0).counter(count.1).bench(|| world.prepare(&next));
}

#[divan::bench]
fn prepare_new_series(bencher: Bencher<'_, '_>) {
    let first = body(0);
    let world = World::new(&first);
    bencher.counter(ItemsCount::new(LINES)).bench(|| world.prepare(&first));
}

#[divan::bench]
fn apply_known_series(bencher: Bencher<'_, '_>) {
    let first = body(0);
    let world = World::new(&first);
    world.apply(&world.prepare(&first));
    let mut minute = 0;
    let next = || {
        minute += 1;
        world.prepare(&body(minute))
    };
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(next)
        .bench_local_refs(|prepared| world.apply(prepared));
}

#[divan::bench(sample_count = 20)]
fn apply_new_series(bencher: Bencher<'_, '_>) {
    let first = body(0);
    let fresh = || {
        let world = World::new(&first);
        let prepared = world.prepare(&first);
        (world, prepared)
    };
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(fresh)
        .bench_local_refs(|(world, prepared)| world.apply(prepared));
}
