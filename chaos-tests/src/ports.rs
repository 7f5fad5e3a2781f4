//! Free ports for servers that will be killed and started again on the same port.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// First and last port handed out. Below the range from which Linux takes the ports of outgoing connections: a port
/// from `bind(0)` may be taken by somebody's connection while the server that owns it is down.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port of 127.0.0.1 that nobody listens on now and that this process has not handed out before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test processes at once start at different places.
    let start = (std::process::id() as u16).wrapping_mul(97) % (LAST - FIRST);
    for _ in FIRST..=LAST {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(offset) % (LAST - FIRST + 1);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {FIRST} and {LAST}");
}
