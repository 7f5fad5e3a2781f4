//! Where the columns of a series are: by series id, which are dense numbers, so that neighbours lie together.

use super::ColumnKey;
use hashbrown::HashMap;
use model::SeriesId;

/// Ids that share a page.
const PAGE_IDS: usize = 128;
/// No column.
pub(super) const NONE: u32 = u32::MAX;

type Page = [u32; PAGE_IDS];

/// The place of the first column of each series; the others of a series are chained to it.
#[derive(Debug, Default)]
pub(super) struct Places {
    pages: Vec<Option<Box<Page>>>,
    /// Columns of series with so many fields that following a chain would be slow.
    far: HashMap<ColumnKey, u32>,
    page_count: usize,
}

impl Places {
    /// The place of a series' first column, or `NONE`.
    pub(super) fn first(&self, series: SeriesId) -> u32 {
        let id = series.0 as usize;
        let page = self.pages.get(id / PAGE_IDS).and_then(Option::as_ref);
        page.map_or(NONE, |page| page[id % PAGE_IDS])
    }

    pub(super) fn set_first(&mut self, series: SeriesId, place: u32) {
        let id = series.0 as usize;
        if self.pages.len() <= id / PAGE_IDS {
            self.pages.resize_with(id / PAGE_IDS + 1, || None);
        }
        let page = self.pages[id / PAGE_IDS].get_or_insert_with(|| {
            self.page_count += 1;
            Box::new([NONE; PAGE_IDS])
        });
        page[id % PAGE_IDS] = place;
    }

    /// The place of a column that is not in the chain of its series, or `NONE`.
    pub(super) fn far(&self, key: ColumnKey) -> u32 {
        if self.far.is_empty() { NONE } else { self.far.get(&key).copied().unwrap_or(NONE) }
    }

    pub(super) fn set_far(&mut self, key: ColumnKey, place: u32) {
        self.far.insert(key, place);
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let pages = self.page_count * size_of::<Page>();
        pages + self.pages.capacity() * size_of::<Option<Box<Page>>>() + self.far.allocation_size()
    }
}
