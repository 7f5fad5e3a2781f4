//! Sends a recording of collectors again: the same requests in the same order with the same headers, with the times of
//! the points shifted so that the recording ends now.
//!
//! The format is described in `testdata/heapster/README.md`: gzip, and in it for each request a line
//! `>>> OFFSET_MS CONNECTION STATUS`, the request as it went over the wire, and a newline.

mod recording;
mod shift;

use super::sender::Batch;
use crate::cli::LoadArgs;
use crate::clock::SystemClock;
use crate::shutdown::stopped;
use anyhow::Context;
use bytes::Bytes;
use model::Clock;
use recording::Recorded;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Shifts are a multiple of this, so that times stay aligned to the collector's interval.
const ALIGNMENT_NS: i64 = 10_000_000_000;

/// Feeds all recordings into `queue`, as if they had begun together, until they end or `stop` becomes true.
pub(super) async fn feed(
    args: &LoadArgs,
    queue: mpsc::Sender<Batch>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut requests = Vec::new();
    for path in &args.replay {
        let recording = recording::read(path).with_context(|| format!("cannot replay {}", path.display()))?;
        let shift_ns = shift_for(&recording, args.replay_speed);
        requests.extend(recording.into_iter().map(|recorded| (recorded, shift_ns)));
    }
    requests.sort_by_key(|(recorded, _)| recorded.offset_ms);
    let began = Instant::now();
    for (recorded, shift_ns) in requests {
        if args.replay_speed > 0.0 {
            let due = began + Duration::from_millis(recorded.offset_ms).div_f64(args.replay_speed);
            tokio::select! {
                () = sleep_until(due) => {}
                () = stopped(&mut stop) => break,
            }
        }
        if *stop.borrow() || queue.send(batch_of(recorded, shift_ns)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn batch_of(recorded: Recorded, shift_ns: i64) -> Batch {
    let Recorded { request, status, .. } = recorded;
    let mut lines = 0;
    let (mut parts, body) = request.into_parts();
    let body = if parts.uri.path() == "/write" {
        let shifted = shift::shift_times(&body, shift_ns);
        lines = shifted.points;
        Bytes::from(shifted.body)
    } else {
        body
    };
    // A time may get a digit more or less.
    if let Some(length) = parts.headers.get_mut("content-length") {
        *length = body.len().into();
    }
    Batch::recorded(hyper::Request::from_parts(parts, body), lines, status)
}

/// By how much times move: the newest point of the recording comes to lie at the end of the replay.
fn shift_for(requests: &[Recorded], speed: f64) -> i64 {
    let newest = requests.iter().filter_map(|r| shift::newest_time(r.request.body())).max();
    let Some(newest) = newest else { return 0 };
    let length_ms = requests.last().map_or(0, |last| last.offset_ms);
    let length_ns = if speed > 0.0 { (length_ms as f64 * 1e6 / speed) as i64 } else { 0 };
    let shift = SystemClock.now_ns() + length_ns - newest;
    shift - shift.rem_euclid(ALIGNMENT_NS)
}
