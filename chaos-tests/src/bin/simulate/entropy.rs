//! Random numbers of the operating system, as a seed says: ids, election timeouts and the order in which tokio looks at its
//! branches all begin here, and so the same seed makes the same run.
//!
//! The C library's `getrandom` is replaced in this program only. Nothing secret is made in a simulation.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0x7374_6561_6466_6173);

/// From now on the numbers are those of the seed.
pub(crate) fn seed(seed: u64) {
    STATE.store(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), Ordering::Relaxed);
}

fn next() -> u64 {
    let state = STATE.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[expect(
    unsafe_code,
    reason = "takes the place of a function of the C library, which is called with raw memory"
)]
mod replaced {
    /// Fills the buffer; never fails.
    ///
    /// # Safety
    ///
    /// As for the function of the C library: `buffer` is `length` bytes that may be written.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
        // SAFETY: the caller gave memory of this length to be written.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&super::next().to_le_bytes()[..chunk.len()]);
        }
        length as isize
    }
}
