//! Memory of all answers that are being put together: a node gives up an answer before it runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for answers, shared by all requests.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    used: AtomicUsize,
    /// Bytes of all answers together.
    total_max: usize,
    /// Bytes of one answer.
    each_max: usize,
}

/// Why an answer got no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// This answer is too large.
    Full,
    /// All answers together are.
    Overloaded,
}

impl AnswerRoom {
    pub(crate) fn new(each_max: usize, total_max: usize) -> Self {
        Self { used: AtomicUsize::new(0), total_max, each_max }
    }
}

/// What one answer takes; given back on drop.
#[derive(Debug)]
pub(crate) struct AnswerBytes {
    room: Arc<AnswerRoom>,
    bytes: usize,
}

impl AnswerBytes {
    pub(crate) fn new(room: Arc<AnswerRoom>) -> Self {
        Self { room, bytes: 0 }
    }

    /// The greatest answer.
    pub(crate) fn each_max(&self) -> usize {
        self.room.each_max
    }

    /// Says how many bytes the answer has now.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes > self.room.each_max {
            return Err(NoRoom::Full);
        }
        if bytes <= self.bytes {
            self.room.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        } else {
            let more = bytes - self.bytes;
            if self.room.used.fetch_add(more, Ordering::Relaxed) + more > self.room.total_max {
                self.room.used.fetch_sub(more, Ordering::Relaxed);
                return Err(NoRoom::Overloaded);
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for AnswerBytes {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_room_and_give_it_back() {
        let room = Arc::new(AnswerRoom::new(10, 15));
        let mut first = AnswerBytes::new(Arc::clone(&room));
        let mut second = AnswerBytes::new(Arc::clone(&room));
        first.set(10).expect("room");
        assert_eq!(first.set(11), Err(NoRoom::Full));
        second.set(5).expect("room");
        assert_eq!(second.set(6), Err(NoRoom::Overloaded));
        first.set(9).expect("less");
        second.set(6).expect("room again");
        drop(first);
        second.set(10).expect("room again");
        drop(second);
        assert_eq!(room.used.load(Ordering::Relaxed), 0);
    }
}
