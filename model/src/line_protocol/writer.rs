//! Points → line protocol, in such a way that reading it gives the same points.
//!
//! Whoever has points that came in no body (the rows of `SELECT … INTO`) writes them with this and sends them the way of
//! all bodies. Times are in ns. Names that line protocol cannot express are refused, not changed.

use super::print::push_value;
use crate::limits::KEY_BYTES_MAX;
use crate::series::escape_into;
use crate::time::{TIME_MAX, TIME_MIN};
use crate::value::ValueRef;

/// A name that no line can hold: with a line break, with a backslash at its end, or a measurement that begins like a
/// comment or with what is skipped at the beginning of a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be written: {kind} {name:?} has no form in line protocol")]
pub struct UnwritableName {
    kind: &'static str,
    name: String,
}

/// The measurement and tags of points, escaped once for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineHead(Vec<u8>);

impl LineHead {
    /// `measurement,tag=value,…`; tags without a value are left out. `tags` must be sorted by key.
    ///
    /// # Errors
    ///
    /// [`UnwritableName`].
    pub fn new<'t>(
        measurement: &str,
        tags: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, UnwritableName> {
        check("measurement", measurement)?;
        if measurement.is_empty() || measurement.starts_with(['#', '\t', '\0']) {
            return Err(UnwritableName { kind: "measurement", name: measurement.to_owned() });
        }
        let mut head = Vec::with_capacity(measurement.len() + 32);
        escape_into(&mut head, measurement.as_bytes(), b", ");
        for (key, value) in tags.into_iter().filter(|(_, value)| !value.is_empty()) {
            check("tag key", key)?;
            check("tag value", value)?;
            head.push(b',');
            escape_into(&mut head, key.as_bytes(), b",= ");
            head.push(b'=');
            escape_into(&mut head, value.as_bytes(), b",= ");
        }
        Ok(Self(head))
    }
}

/// The name of a field, escaped once for all points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(Vec<u8>);

impl FieldName {
    /// Escapes a name.
    ///
    /// # Errors
    ///
    /// [`UnwritableName`].
    pub fn new(name: &str) -> Result<Self, UnwritableName> {
        check("field", name)?;
        let mut escaped = Vec::with_capacity(name.len());
        escape_into(&mut escaped, name.as_bytes(), b",= \"");
        Ok(Self(escaped))
    }
}

/// A body that grows point by point.
#[derive(Debug, Default)]
pub struct LineWriter {
    body: Vec<u8>,
    points: usize,
}

impl LineWriter {
    /// Appends a point. False, with nothing appended, for one that InfluxDB 1.x makes no point of (`models.NewPoint`):
    /// without fields, with a nameless field, with a number that is none or infinite, with a time or a key out of bounds.
    pub fn push<'v>(
        &mut self,
        head: &LineHead,
        fields: impl IntoIterator<Item = (&'v FieldName, ValueRef<'v>)>,
        time: i64,
    ) -> bool {
        let start = self.body.len();
        let fits = (TIME_MIN..=TIME_MAX).contains(&time) && self.try_push(head, fields, time);
        if fits {
            self.points += 1;
        } else {
            self.body.truncate(start);
        }
        fits
    }

    fn try_push<'v>(
        &mut self,
        head: &LineHead,
        fields: impl IntoIterator<Item = (&'v FieldName, ValueRef<'v>)>,
        time: i64,
    ) -> bool {
        use std::io::Write;
        self.body.extend_from_slice(&head.0);
        let mut separator = b' ';
        for (name, value) in fields {
            // 1.x counts a separator of four bytes between series key and field.
            if name.0.is_empty() || head.0.len() + 4 + name.0.len() > KEY_BYTES_MAX {
                return false;
            }
            self.body.push(separator);
            separator = b',';
            self.body.extend_from_slice(&name.0);
            self.body.push(b'=');
            if matches!(value, ValueRef::Float(f) if !f.is_finite()) {
                return false;
            }
            push_value(&mut self.body, &value);
        }
        separator == b',' && writeln!(self.body, " {time}").is_ok()
    }

    /// Points so far.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// The body; the writer is empty again.
    pub fn take(&mut self) -> Vec<u8> {
        self.points = 0;
        std::mem::take(&mut self.body)
    }
}

fn check(kind: &'static str, name: &str) -> Result<(), UnwritableName> {
    if name.contains('\n') || name.ends_with('\\') {
        return Err(UnwritableName { kind, name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line_protocol::parse;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn string(text: &str) -> ValueRef<'_> {
        ValueRef::String(Cow::Borrowed(text.as_bytes()))
    }

    fn line(measurement: &str, tags: &[(&str, &str)], fields: &[(&str, ValueRef<'_>)], time: i64) -> String {
        let head = LineHead::new(measurement, tags.iter().copied()).unwrap();
        let names: Vec<FieldName> = fields.iter().map(|(name, _)| FieldName::new(name).unwrap()).collect();
        let mut writer = LineWriter::default();
        writer.push(&head, names.iter().zip(fields.iter().map(|(_, value)| value.clone())), time);
        String::from_utf8(writer.take()).unwrap()
    }

    #[test]
    fn every_part_is_escaped_its_own_way() {
        let fields = [("f \"1\"", string("a\"b\\ c=d\ne")), ("i", ValueRef::Integer(-1))];
        let text = line("disk io,a=b", &[("k=1", "x, y"), ("none", "")], &fields, -5);
        assert_eq!(text, "disk\\ io\\,a=b,k\\=1=x\\,\\ y f\\ \\\"1\\\"=\"a\\\"b\\\\ c=d\ne\",i=-1i -5\n");
    }

    #[test]
    fn what_1x_makes_no_point_of_is_left_out() {
        assert_eq!(line("m", &[], &[], 0), "");
        assert_eq!(line("m", &[], &[("v", ValueRef::Float(1.0)), ("w", ValueRef::Float(f64::NAN))], 0), "");
        assert_eq!(line("m", &[], &[("", ValueRef::Float(1.0))], 0), "");
        assert_eq!(line("m", &[], &[("v", ValueRef::Float(1.0))], i64::MIN), "");
        let longest = "x".repeat(KEY_BYTES_MAX - "m".len() - 4);
        assert_ne!(line("m", &[], &[(&longest, ValueRef::Float(1.0))], 0), "");
        assert_eq!(line("m", &[], &[(&format!("{longest}x"), ValueRef::Float(1.0))], 0), "");
    }

    #[test]
    fn names_without_a_form_are_refused() {
        for bad in ["", "#m", "\tm", "a\nb", "a\\"] {
            assert!(LineHead::new(bad, []).is_err(), "{bad:?}");
        }
        assert!(LineHead::new("m", [("a\nb", "v")]).is_err());
        assert!(LineHead::new("m", [("a", "v\\")]).is_err());
        assert!(FieldName::new("a\\").is_err());
    }

    /// Names as they may come out of a query; a backslash before a character that is escaped reads back as that
    /// character in 1.x too, so there is none.
    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Z,= \"'ü日/]{1,12}".prop_filter("no blank start", |name| !name.starts_with(['#']))
    }

    fn value() -> impl Strategy<Value = ValueRef<'static>> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(ValueRef::Float),
            any::<i64>().prop_map(ValueRef::Integer),
            any::<bool>().prop_map(ValueRef::Boolean),
            any::<String>().prop_map(|text| ValueRef::String(Cow::Owned(text.into_bytes()))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(
            measurement in name(),
            tags in proptest::collection::btree_map(name(), name(), 0..4),
            fields in proptest::collection::btree_map(name(), value(), 1..4),
            time in TIME_MIN..=TIME_MAX,
        ) {
            let head = LineHead::new(&measurement, tags.iter().map(|(k, v)| (k.as_str(), v.as_str()))).unwrap();
            let names: Vec<FieldName> = fields.keys().map(|name| FieldName::new(name).unwrap()).collect();
            let mut writer = LineWriter::default();
            prop_assert!(writer.push(&head, names.iter().zip(fields.values().cloned()), time));
            let body = writer.take();
            let parsed = parse(&body, 1);
            prop_assert_eq!(parsed.errors.len(), 0, "{}", String::from_utf8_lossy(&body));
            let [line] = parsed.lines.as_slice() else { panic!("{} lines", parsed.lines.len()) };
            prop_assert_eq!(line.measurement(), measurement.as_bytes());
            prop_assert_eq!(line.time, Some(time));
            let found: Vec<_> = line.tags().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            let wanted: Vec<_> =
                tags.iter().map(|(k, v)| (k.clone().into_bytes(), v.clone().into_bytes())).collect();
            prop_assert_eq!(found, wanted);
            for (found, (name, value)) in parsed.fields_of(line).iter().zip(&fields) {
                prop_assert_eq!(&*found.name, name.as_bytes());
                prop_assert_eq!(&found.value, value);
            }
        }
    }
}
