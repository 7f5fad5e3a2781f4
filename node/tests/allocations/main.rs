//! What a write allocates: nothing for a point whose series and fields are known. A binary of its own, because it counts
//! with the global allocator; counts are kept by thread, so that nothing else in the process shows.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../benches/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::{LINES, World, body};

/// The system's allocator with a count of calls that take memory.
struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more, and nobody who reads it.
    let _gone = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; each call is handed to the system's unchanged"
)]
// SAFETY: every method passes its arguments on to `System`, which keeps the contract of `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: `pointer` came from `System` with this layout; `size` is the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls that take memory while `work` runs on this thread.
fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = TAKEN.get();
    let done = work();
    (done, TAKEN.get() - before)
}

#[test]
fn a_body_of_known_series_becomes_commands_with_a_few_allocations() {
    let first = body(0);
    let world = World::new(&first);
    world.apply(&world.prepare(&first));
    let next = body(1);
    let (prepared, taken) = allocations(|| world.prepare(&next));
    assert_eq!(prepared.points, LINES);
    println!("{taken} allocations to prepare {LINES} points of known series");
    assert!(taken < 200, "{taken} allocations");
}

#[test]
fn a_new_series_costs_a_bounded_number_of_allocations() {
    let first = body(0);
    let world = World::new(&first);
    let (prepared, taken) = allocations(|| world.prepare(&first));
    assert_eq!(prepared.points, LINES);
    println!("{taken} allocations to prepare {LINES} points of new series");
    assert!(taken < LINES as u64 / 10, "{taken} allocations");
}

/// The heads grow in steps, so that the first points of a series cost more than the later ones.
#[test]
fn applying_known_series_allocates_next_to_nothing() {
    let world = World::new(&body(0));
    for minute in 0..8 {
        world.apply(&world.prepare(&body(minute)));
    }
    let batches: Vec<_> = (8..16).map(|minute| world.prepare(&body(minute))).collect();
    let ((), taken) = allocations(|| batches.iter().for_each(|prepared| world.apply(prepared)));
    let points = LINES as u64 * batches.len() as u64;
    println!("{taken} allocations to apply {points} points of known series");
    assert!(taken < points / 100, "{taken} allocations");
}
