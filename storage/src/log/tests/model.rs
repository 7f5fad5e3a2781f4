//! The log against a model that is a map: after any operations, from memory, from disk and after reopening, both say
//! the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append {
        count: u64,
        bytes: usize,
    },
    /// Back from the end of the log.
    Truncate {
        back: u64,
    },
    /// Forward from the first entry, possibly past the end.
    Purge {
        forward: u64,
    },
    Vote(u8),
    Committed(u8),
    Reopen,
    Read {
        from: u64,
        count: u64,
        max_bytes: usize,
    },
}

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<u64, Bytes>,
    /// Where the log goes on; `None` while any index may come first.
    next: Option<u64>,
    purged: Option<(u64, Bytes)>,
    vote: Option<Bytes>,
    committed: Option<Bytes>,
}

impl Model {
    fn first(&self) -> u64 {
        self.entries.first_key_value().map_or(self.next.unwrap_or(0), |(index, _)| *index)
    }

    fn end(&self) -> u64 {
        self.next.unwrap_or(0)
    }

    fn read(&self, range: Range<u64>, max_bytes: usize) -> Vec<(u64, Bytes)> {
        let mut read = Vec::new();
        let mut bytes = 0;
        for (index, entry) in self.entries.range(range) {
            if bytes >= max_bytes.max(1) {
                break;
            }
            bytes += entry.len();
            read.push((*index, entry.clone()));
        }
        read
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..12, 1usize..200).prop_map(|(count, bytes)| Step::Append { count, bytes }),
        1 => (600u64..1500, 1usize..4).prop_map(|(count, bytes)| Step::Append { count, bytes }),
        3 => (0u64..30).prop_map(|back| Step::Truncate { back }),
        2 => (0u64..40).prop_map(|forward| Step::Purge { forward }),
        1 => (900u64..1400).prop_map(|forward| Step::Purge { forward }),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        1 => Just(Step::Reopen),
        3 => (0u64..2000, 1u64..50, 0usize..2000)
            .prop_map(|(from, count, max_bytes)| Step::Read { from, count, max_bytes }),
    ]
}

struct Run {
    dir: tempfile::TempDir,
    log: Option<Arc<LogDb>>,
    cache_bytes: usize,
    model: Model,
    written: u8,
    outcomes: Vec<Outcome>,
}

impl Run {
    fn new(cache_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut run =
            Self { dir, log: None, cache_bytes, model: Model::default(), written: 0, outcomes: Vec::new() };
        run.reopen();
        run
    }

    fn log(&self) -> &LogDb {
        self.log.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.log = None;
        let options = LogOptions { cache_bytes: self.cache_bytes, ..LogOptions::default() };
        self.log = Some(LogDb::open_with(self.dir.path(), options).unwrap());
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Append { count, bytes } => self.append(count, bytes),
            Step::Truncate { back } => self.truncate(back),
            Step::Purge { forward } => self.purge(forward),
            Step::Vote(vote) => {
                let vote = Bytes::from(vec![vote]);
                let (done, outcome) = done();
                block_on(self.log().save_vote(G, vote.clone(), done)).unwrap();
                durable(outcome);
                self.model.vote = Some(vote);
            }
            Step::Committed(id) => {
                let id = Bytes::from(vec![id]);
                self.log().save_committed(G, id.clone()).unwrap();
                self.model.committed = Some(id);
            }
            Step::Reopen => self.reopen(),
            Step::Read { from, count, max_bytes } => {
                let expected = self.model.read(from..from + count, max_bytes);
                assert_eq!(self.log().read(G, from..from + count, max_bytes).unwrap(), expected);
            }
        }
    }

    fn append(&mut self, count: u64, bytes: usize) {
        self.written = self.written.wrapping_add(1);
        let first = self.model.end();
        let entry = Bytes::from(vec![self.written; bytes]);
        let entries: Vec<_> = (first..first + count).map(|index| (index, entry.clone())).collect();
        let (done, outcome) = done();
        block_on(self.log().append(G, entries.clone(), done)).unwrap();
        self.outcomes.push(outcome);
        self.model.entries.extend(entries);
        self.model.next = Some(first + count);
    }

    fn truncate(&mut self, back: u64) {
        let after = self.model.end().checked_sub(back + 1);
        self.outcomes.push(truncate(self.log(), after));
        let end = after.map_or(0, |after| after + 1);
        self.model.entries.split_off(&end);
        let purged = self.model.purged.as_ref().map(|(index, _)| index + 1);
        let last = self.model.entries.last_key_value().map(|(index, _)| index + 1);
        self.model.next = last.or(purged);
    }

    fn purge(&mut self, forward: u64) {
        let upto = self.model.first() + forward;
        self.outcomes.push(purge(self.log(), upto));
        if self.model.purged.as_ref().is_none_or(|(purged, _)| *purged < upto) {
            self.model.purged = Some((upto, Bytes::from(format!("marker {upto}"))));
            self.model.entries = self.model.entries.split_off(&(upto + 1));
            self.model.next = Some(self.model.end().max(upto + 1));
        }
    }

    fn check(&self) {
        let log = self.log();
        assert_eq!(all(log, G), self.model.read(0..u64::MAX, usize::MAX));
        let last = self.model.entries.last_key_value().map(|(index, entry)| (*index, entry.clone()));
        assert_eq!(log.bounds(G).unwrap(), LogBounds { purged: self.model.purged.clone(), last });
        assert_eq!(log.vote(G).unwrap(), self.model.vote);
        assert_eq!(log.committed(G).unwrap(), self.model.committed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_log_is_a_map_with_bounds(
        cache_bytes in prop_oneof![Just(0), Just(300), Just(1 << 20)],
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut run = Run::new(cache_bytes);
        for step in steps {
            run.apply(step);
            run.check();
        }
        std::mem::take(&mut run.outcomes).into_iter().for_each(durable);
        run.check();
        run.reopen();
        run.check();
    }
}
