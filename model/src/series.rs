//! Series keys: the canonical bytes that identify a series, `measurement,tag=value,tag=value`, tags sorted by key.
//!
//! The canonical form is line protocol's own: a measurement escapes `,` and ` `, tag keys and values escape `,`, `=`
//! and ` `, each with a backslash (InfluxDB 1.x `models.MakeKey`). SHOW SERIES prints it as it is. Two lines belong to
//! the same series exactly when these bytes are equal. Bytes need not be UTF-8.

use std::borrow::Cow;
use std::sync::Arc;

/// The canonical bytes of a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey(pub Box<[u8]>);

impl SeriesKey {
    /// Builds the canonical key from unescaped parts. `tags` must be sorted by key, without duplicates and empty
    /// values.
    pub fn from_parts(measurement: &[u8], tags: &[(&[u8], &[u8])]) -> Self {
        let mut key = Vec::with_capacity(measurement.len() + 32);
        escape_into(&mut key, measurement, b", ");
        for (tag, value) in tags {
            key.push(b',');
            escape_into(&mut key, tag, b",= ");
            key.push(b'=');
            escape_into(&mut key, value, b",= ");
        }
        Self(key.into_boxed_slice())
    }

    /// The unescaped measurement and tags, as text for reading (U+FFFD for bytes that are not UTF-8).
    pub fn parse(&self) -> SeriesParts {
        let measurement_end = measurement_len(&self.0);
        let measurement = text(&unescape(&self.0[..measurement_end], b", "));
        let tags = tags(&self.0[measurement_end..]).map(|(tag, value)| (text(&tag), text(&value))).collect();
        SeriesParts { measurement, tags }
    }
}

/// A series key taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesParts {
    /// The measurement, unescaped.
    pub measurement: Arc<str>,
    /// The tags sorted by key, unescaped.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// Length of the (escaped) measurement at the start of a canonical key.
pub fn measurement_len(key: &[u8]) -> usize {
    unescaped(key, b',').unwrap_or(key.len())
}

/// The unescaped tags in what follows the measurement of a canonical key, `,tag=value,tag=value`.
pub fn tags(rest: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    escaped_tags(rest).map(|(tag, value)| (unescape(tag, b",= "), unescape(value, b",= ")))
}

/// The same as they stand in the key.
pub fn escaped_tags(rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = rest;
    std::iter::from_fn(move || {
        let after = rest.strip_prefix(b",")?;
        let end = unescaped(after, b',').unwrap_or(after.len());
        let pair = &after[..end];
        let equals = unescaped(pair, b'=')?;
        rest = &after[end..];
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}

/// Bytes shown as text: each byte that is not UTF-8 becomes U+FFFD, as Go shows it.
pub fn text(bytes: &[u8]) -> Arc<str> {
    Arc::from(&*shown(bytes))
}

/// The same without a copy of what is UTF-8 already.
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// Appends `part`, with a backslash before each of the `special` bytes.
pub fn escape_into(out: &mut Vec<u8>, part: &[u8], special: &[u8]) {
    for &byte in part {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Removes the backslash before each of the `special` bytes; other backslashes stay.
pub fn unescape<'a>(part: &'a [u8], special: &[u8]) -> Cow<'a, [u8]> {
    if memchr::memchr(b'\\', part).is_none() {
        return Cow::Borrowed(part);
    }
    let mut out = Vec::with_capacity(part.len());
    let mut i = 0;
    while i < part.len() {
        if part[i] == b'\\' && part.get(i + 1).is_some_and(|next| special.contains(next)) {
            i += 1;
        }
        out.push(part[i]);
        i += 1;
    }
    Cow::Owned(out)
}

/// Position of the first `wanted` byte that has no backslash right before it.
fn unescaped(bytes: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr_iter(wanted, bytes).find(|&i| i == 0 || bytes[i - 1] != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_escaped_and_parses_back() {
        let key = SeriesKey::from_parts(b"disk io", &[(b"a=b", b"x,y"), (b"host", b"web 1")]);
        assert_eq!(&*key.0, br"disk\ io,a\=b=x\,y,host=web\ 1");
        let parts = key.parse();
        assert_eq!(&*parts.measurement, "disk io");
        assert_eq!(parts.tags.len(), 2);
        assert_eq!((&*parts.tags[0].0, &*parts.tags[0].1), ("a=b", "x,y"));
        assert_eq!((&*parts.tags[1].0, &*parts.tags[1].1), ("host", "web 1"));
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        let key = SeriesKey::from_parts(br"a\b", &[]);
        assert_eq!(&*key.0, br"a\b");
        assert_eq!(&*key.parse().measurement, r"a\b");
    }

    #[test]
    fn a_measurement_escapes_only_commas_and_spaces() {
        let key = SeriesKey::from_parts(br#"a\=b\"c"#, &[]);
        assert_eq!(&*key.parse().measurement, r#"a\=b\"c"#);
    }

    #[test]
    fn every_byte_that_is_not_utf8_shows() {
        assert_eq!(&*text(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
    }
}
