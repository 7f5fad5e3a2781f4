//! Lists on their way from one node to another: in parts of limited size, every text once.

use super::{NoMemory, ReadAccount};
use hashbrown::HashMap;
use model::SeriesId;
use model::scan::SeriesRef;
use proto::peer::ReadPart;
use std::sync::Arc;

/// Bytes of a part; the last text may go beyond.
const PART_BYTES: usize = 256 << 10;
/// Bytes that a text takes besides its own.
const TEXT_BYTES: usize = size_of::<String>();

/// A part that grows.
#[derive(Default)]
struct Parts {
    done: Vec<ReadPart>,
    part: ReadPart,
    bytes: usize,
}

impl Parts {
    /// Ends the part when it is large.
    fn added(&mut self, bytes: usize, account: &dyn ReadAccount) -> Result<(), NoMemory> {
        account.charge(bytes)?;
        self.bytes += bytes;
        if self.bytes >= PART_BYTES {
            self.done.push(std::mem::take(&mut self.part));
            self.bytes = 0;
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<ReadPart> {
        self.done.push(self.part);
        self.done
    }
}

/// Texts.
pub(super) fn texts(
    texts: impl Iterator<Item = Arc<str>>,
    account: &dyn ReadAccount,
) -> Result<Vec<ReadPart>, NoMemory> {
    let mut parts = Parts::default();
    for text in texts {
        parts.part.texts.push(text.as_ref().to_owned());
        parts.added(text.len() + TEXT_BYTES, account)?;
    }
    Ok(parts.finish())
}

/// Series.
pub(super) fn series(series: Vec<SeriesRef>, account: &dyn ReadAccount) -> Result<Vec<ReadPart>, NoMemory> {
    let mut parts = Parts::default();
    let mut places: HashMap<Arc<str>, u32> = HashMap::new();
    for series in series {
        let mut bytes = 8;
        parts.part.series.push(series.id.0);
        parts.part.tags.push(series.tags.len() as u32);
        for text in series.tags.iter().flat_map(|(key, value)| [key, value]) {
            let next = places.len() as u32;
            let place = *places.entry(Arc::clone(text)).or_insert_with(|| {
                parts.part.texts.push(text.as_ref().to_owned());
                bytes += text.len() + 2 * TEXT_BYTES;
                next
            });
            parts.part.tags.push(place);
            bytes += size_of::<u32>();
        }
        parts.added(bytes, account)?;
    }
    Ok(parts.finish())
}

/// Series as they come in.
#[derive(Debug, Default)]
pub(super) struct SeriesList {
    texts: Vec<Arc<str>>,
    pub(super) series: Vec<SeriesRef>,
}

impl SeriesList {
    /// Adds a part. `None` if it names what was not sent.
    pub(super) fn add(&mut self, part: ReadPart, account: &dyn ReadAccount) -> Result<Option<()>, NoMemory> {
        let texts: usize = part.texts.iter().map(|text| text.len() + TEXT_BYTES).sum();
        let pair = size_of::<(Arc<str>, Arc<str>)>();
        account.charge(texts + part.series.len() * size_of::<SeriesRef>() + part.tags.len() * pair / 2)?;
        self.texts.extend(part.texts.into_iter().map(Arc::from));
        Ok(self.take_series(&part.series, &part.tags))
    }

    fn take_series(&mut self, ids: &[u32], tags: &[u32]) -> Option<()> {
        let mut numbers = tags.iter();
        for id in ids {
            let count = *numbers.next()? as usize;
            let mut tags = Vec::with_capacity(count.min(numbers.len()));
            for _ in 0..count {
                let key = self.texts.get(*numbers.next()? as usize)?;
                let value = self.texts.get(*numbers.next()? as usize)?;
                tags.push((Arc::clone(key), Arc::clone(value)));
            }
            self.series.push(SeriesRef { id: SeriesId(*id), tags: tags.into() });
        }
        numbers.next().is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::tests::Unlimited;

    #[test]
    fn series_come_back_as_they_were_part_by_part() {
        let text = |text: String| Arc::<str>::from(text);
        let series: Vec<SeriesRef> = (0..20_000_u32)
            .map(|n| {
                let tags = (0..n % 4).map(|k| (text(format!("k{k}")), text(format!("v{}", n * k))));
                SeriesRef { id: SeriesId(n ^ 7), tags: tags.collect() }
            })
            .collect();
        let parts = super::series(series.clone(), &Unlimited).unwrap();
        assert!(parts.len() > 1, "{} parts", parts.len());
        let mut list = SeriesList::default();
        for part in parts {
            list.add(part, &Unlimited).unwrap().unwrap();
        }
        assert_eq!(list.series.len(), series.len());
        for (back, series) in list.series.iter().zip(&series) {
            assert_eq!((back.id, &back.tags), (series.id, &series.tags));
        }
    }

    #[test]
    fn what_names_a_text_that_was_not_sent_is_refused() {
        for tags in [vec![1], vec![1, 0], vec![1, 0, 5], vec![0, 0]] {
            let part = ReadPart { texts: vec!["a".to_owned()], series: vec![1], tags, ..ReadPart::default() };
            assert_eq!(SeriesList::default().add(part, &Unlimited).unwrap(), None);
        }
    }
}
