//! Bodies and what becomes of them, without a cluster.

use super::reference;
use super::*;
use model::batch::{BatchReader, RowSeries};
use model::catalog::{Catalog, CatalogCommand, PolicySpec};
use model::limits::COMMAND_BYTES_MAX;
use model::series::{SeriesKey, SeriesParts};
use model::time::HOUR_NS;
use model::value::ValueRef;
use model::{FieldId, FieldType, SeriesId, placement};
use proptest::prelude::*;
use raft::command::DataCommand;
use std::collections::BTreeSet;
use storage::KeyHash;

const NOW: i64 = 1_700_000_000_000_000_000;

fn catalog(duration_ns: i64) -> Catalog {
    let mut catalog = Catalog { slots: placement::even_slot_table(4).into(), ..Catalog::default() };
    let policy = PolicySpec { duration_ns: Some(duration_ns), ..PolicySpec::default() };
    catalog.apply(&CatalogCommand::CreateDatabase { name: "d".into(), policy }).unwrap();
    let field =
        |field: &str, field_type| NewField { measurement: "m".into(), field: field.into(), field_type };
    let fields = vec![field("v", FieldType::Float), field("i", FieldType::Integer)];
    let database = catalog.databases[0].id;
    catalog.apply(&CatalogCommand::RegisterFields { database, fields }).unwrap();
    catalog
}

fn request(body: &str) -> WriteRequest {
    WriteRequest {
        database: "d".into(),
        policy: String::new(),
        precision_ns: 1,
        consistency: String::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// A cluster that knows these series, by their canonical keys; their places are their ids.
#[derive(Debug, Default)]
struct Known(Vec<Vec<u8>>);

impl Known {
    fn parts(&self, measurement: &str) -> impl Iterator<Item = SeriesParts> {
        let parts = self.0.iter().map(|key| SeriesKey(Box::from(&**key)).parse());
        parts.filter(move |parts| &*parts.measurement == measurement)
    }

    fn values(&self, measurement: &str, tag: &str) -> BTreeSet<String> {
        let tags = self.parts(measurement).flat_map(|parts| parts.tags);
        tags.filter(|(key, _)| &**key == tag).map(|(_, value)| value.to_string()).collect()
    }
}

impl SeriesDirectory for Known {
    fn lookup(&self, _: GroupId, hashes: &[KeyHash], found: &mut Vec<Option<SeriesId>>) {
        let database = catalog(0).databases[0].id;
        let known: Vec<KeyHash> = self.0.iter().map(|key| KeyHash::of(database, key)).collect();
        found.extend(hashes.iter().map(|hash| Some(SeriesId(known.iter().position(|k| k == hash)? as u32))));
    }

    fn series_count(&self) -> u64 {
        self.0.len() as u64
    }

    fn value_count(&self, measurement: &str, tag: &str, _: u64) -> u64 {
        self.values(measurement, tag).len() as u64
    }

    fn has_value(&self, measurement: &str, tag: &str, value: &str) -> bool {
        self.values(measurement, tag).contains(value)
    }
}

fn run(catalog: &Catalog, request: &WriteRequest, known: &[&[u8]]) -> Outcome {
    run_limited(catalog, request, known, SeriesLimits::NONE)
}

fn run_limited(catalog: &Catalog, request: &WriteRequest, known: &[&[u8]], limits: SeriesLimits) -> Outcome {
    let series = Known(known.iter().map(|key| key.to_vec()).collect());
    let around = Surroundings {
        database: &catalog.databases[0],
        slots: &catalog.slots,
        now_ns: NOW,
        shard_origin: catalog.shard_origin(),
        series: &series,
        limits,
    };
    prepare(request, &around)
}

fn ready(outcome: Outcome) -> Prepared {
    match outcome {
        Outcome::Ready(prepared) => prepared,
        Outcome::Refused(error) => panic!("refused: {error}"),
        Outcome::UnknownFields(fields) => panic!("unknown fields: {fields:?}"),
        Outcome::Disagreement(fields) => panic!("disagreement: {fields:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(error) => error.to_string(),
        Outcome::Ready(_) | Outcome::UnknownFields(_) | Outcome::Disagreement(_) => panic!("not refused"),
    }
}

/// The types that fields have after a body that disagrees with itself.
#[track_caller]
fn disagreement(outcome: Outcome) -> Vec<(String, FieldType)> {
    match outcome {
        Outcome::Disagreement(fields) => {
            fields.iter().map(|field| (field.field.to_string(), field.field_type)).collect()
        }
        Outcome::Ready(_) | Outcome::UnknownFields(_) | Outcome::Refused(_) => panic!("no disagreement"),
    }
}

/// All commands with their groups, in the order of submission.
fn commands(prepared: &Prepared) -> Vec<(GroupId, Bytes)> {
    let groups = prepared.commands.iter();
    groups.flat_map(|(group, commands)| commands.iter().map(|command| (*group, command.clone()))).collect()
}

fn batch(command: &Bytes) -> BatchReader<'_> {
    match DataCommand::decode(command).unwrap() {
        DataCommand::Write(batch) => BatchReader::new(batch).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn rows(command: &Bytes) -> Vec<(RowSeries, i64, FieldId, ValueRef<'_>)> {
    batch(command).map(|row| row.map(|r| (r.series, r.time, r.field, r.value)).unwrap()).collect()
}

#[test]
fn a_known_series_is_named_by_its_id_and_a_new_one_once() {
    let catalog = catalog(0);
    let body = "m,a=1 v=1 5\nm,a=1 v=2 6\n";
    let prepared = ready(run(&catalog, &request(body), &[b"m,a=1"]));
    let sent = commands(&prepared);
    let known = rows(&sent[0].1);
    assert_eq!(known[0].0, RowSeries::Known(SeriesId(0)));
    let prepared = ready(run(&catalog, &request(body), &[]));
    assert_eq!(commands(&prepared).len(), 1);
    let sent = commands(&prepared);
    let command = &sent[0].1;
    assert_eq!(batch(command).new_series(), &[b"m,a=1"]);
    let new = rows(command);
    assert_eq!((new[0].0, new[1].0), (RowSeries::New(0), RowSeries::New(0)));
    assert_eq!((new[1].1, new[1].3.clone()), (6, ValueRef::Float(2.0)));
}

#[test]
fn good_lines_are_stored_beside_broken_ones() {
    let prepared = ready(run(&catalog(0), &request("m v=1 5\nbad\nm v=2 6"), &[]));
    assert_eq!(prepared.points, 2);
    assert_eq!(
        prepared.complaint.as_deref(),
        Some("partial write: unable to parse 'bad': missing fields dropped=0")
    );
}

#[test]
fn only_broken_lines_store_nothing() {
    assert_eq!(refused(run(&catalog(0), &request("bad"), &[])), "unable to parse 'bad': missing fields");
}

#[test]
fn a_field_of_another_type_is_dropped_and_told() {
    let prepared = ready(run(&catalog(0), &request("m v=\"x\" 1\nm v=1i 2\nm v=3 3"), &[]));
    assert_eq!((prepared.points, prepared.dropped), (1, 2));
    assert_eq!(
        prepared.complaint.as_deref(),
        Some(
            "partial write: field type conflict: input field \"v\" on measurement \"m\" is type string, \
             already exists as type float dropped=2"
        )
    );
}

#[test]
fn of_two_new_points_that_disagree_the_first_sets_the_type() {
    match run(&catalog(0), &request("n x=1 1\nn x=1i 2"), &[]) {
        Outcome::UnknownFields(fields) => {
            assert_eq!(fields.iter().map(|f| f.field_type).collect::<Vec<_>>(), [FieldType::Float]);
        }
        Outcome::Ready(_) | Outcome::Refused(_) | Outcome::Disagreement(_) => panic!("the field is unknown"),
    }
}

#[test]
fn a_point_that_disagrees_gives_its_other_fields_no_type() {
    match run(&catalog(0), &request("n x=1 1\nn x=true,y=1 2\nn y=1i 3"), &[]) {
        Outcome::UnknownFields(fields) => {
            let types: Vec<_> = fields.iter().map(|f| (&*f.field, f.field_type)).collect();
            assert_eq!(types, [("x", FieldType::Float), ("y", FieldType::Integer)]);
        }
        Outcome::Ready(_) | Outcome::Refused(_) | Outcome::Disagreement(_) => {
            panic!("the fields are unknown")
        }
    }
}

#[test]
fn the_first_body_of_a_database_must_agree_with_itself() {
    let mut catalog = catalog(0);
    catalog
        .apply(&CatalogCommand::CreateDatabase { name: "new".into(), policy: PolicySpec::default() })
        .unwrap();
    catalog.databases.swap_remove(0);
    let told = disagreement(run(&catalog, &request("n x=1,y=2i 1\nn x=1i 2\nn z=1 3"), &[]));
    // The first types stay, so that the same body is stored in part when it is sent again; what came later was not looked at.
    assert_eq!(told, [("x".to_owned(), FieldType::Float), ("y".to_owned(), FieldType::Integer)]);
}

#[test]
fn a_point_that_is_dropped_gives_no_field_its_type() {
    // `v` is known as a float.
    match run(&catalog(0), &request("m x=1,v=\"s\" 1\nm x=2i 2"), &[]) {
        Outcome::UnknownFields(fields) => {
            assert_eq!(fields.iter().map(|f| f.field_type).collect::<Vec<_>>(), [FieldType::Integer]);
        }
        Outcome::Ready(_) | Outcome::Refused(_) | Outcome::Disagreement(_) => panic!("the field is unknown"),
    }
}

#[test]
fn a_forbidden_tag_is_told_before_a_forbidden_field() {
    let told = |body| ready(run(&catalog(0), &request(body), &[])).complaint.unwrap_or_default();
    for body in ["m time=0 1\nm,time=b v=5 2", "m,time=b v=5 2\nm time=0 1"] {
        assert_eq!(
            told(body),
            "partial write: invalid tag key: input tag \"time\" on measurement \"m\" is invalid dropped=2"
        );
    }
}

#[test]
fn new_fields_are_asked_for_in_a_fixed_order() {
    match run(&catalog(0), &request("n b=1,a=2i 1\nm v=1 1"), &[]) {
        Outcome::UnknownFields(fields) => {
            let names: Vec<&str> = fields.iter().map(|f| &*f.field).collect();
            assert_eq!(names, ["a", "b"]);
        }
        Outcome::Ready(_) | Outcome::Refused(_) | Outcome::Disagreement(_) => panic!("fields are unknown"),
    }
}

#[test]
fn what_the_policy_no_longer_keeps_is_dropped() {
    let catalog = catalog(HOUR_NS);
    let body = format!("m v=1 {}\nm v=2 {}", NOW - HOUR_NS - 1, NOW - HOUR_NS);
    let prepared = ready(run(&catalog, &request(&body), &[]));
    assert_eq!(prepared.points, 1);
    assert_eq!(
        prepared.complaint.as_deref(),
        Some("partial write: points beyond retention policy dropped=1")
    );
}

#[test]
fn a_line_without_a_time_gets_now_cut_to_the_precision() {
    let request = WriteRequest { precision_ns: 60_000_000_000, ..request("m v=1") };
    let prepared = ready(run(&catalog(0), &request, &[]));
    assert_eq!(rows(&commands(&prepared)[0].1)[0].1, NOW - NOW % 60_000_000_000);
}

#[test]
fn time_is_no_tag_and_no_field_of_its_own() {
    let prepared = ready(run(&catalog(0), &request("m,time=1 v=1 1\nm time=1 1\nm v=1,time=2 3"), &[]));
    assert_eq!((prepared.points, prepared.dropped), (1, 2));
    let complaint = prepared.complaint.unwrap();
    assert!(complaint.starts_with("partial write: invalid tag key: input tag \"time\""), "{complaint}");
}

#[test]
fn policy_and_consistency_are_checked_after_parsing() {
    let unknown = WriteRequest { policy: "nope".into(), ..request("m v=1") };
    assert_eq!(refused(run(&catalog(0), &unknown, &[])), "retention policy not found: nope");
    let consistency = WriteRequest { consistency: "most".into(), ..request("m v=1") };
    assert_eq!(refused(run(&catalog(0), &consistency, &[])), "invalid consistency level");
}

#[test]
fn an_empty_body_is_fine() {
    let prepared = ready(run(&catalog(0), &request("# nothing\n\n"), &[]));
    assert!(prepared.commands.is_empty() && prepared.complaint.is_none());
}

#[test]
fn a_large_body_is_cut_into_commands_below_the_limit() {
    let lines: Vec<String> = (0..200_000).map(|i| format!("m,host=h{i} v={i}.5 {i}")).collect();
    let body = lines.join("\n");
    let prepared = ready(run(&catalog(0), &request(&body), &[]));
    let commands = commands(&prepared);
    assert!(commands.len() > 4);
    assert!(commands.iter().all(|(_, c)| c.len() < COMMAND_BYTES_MAX));
    let total: usize = commands.iter().map(|(_, c)| rows(c).len()).sum();
    assert_eq!(total, 200_000);
}

#[test]
fn a_new_series_brings_its_key_once_to_each_command_that_needs_it() {
    let lines: Vec<String> = (0..60_000).map(|i| format!("m,a=1 v={i}.123456789 {i}")).collect();
    let prepared = ready(run(&catalog(0), &request(&lines.join("\n")), &[]));
    let commands = commands(&prepared);
    assert!(commands.len() > 1);
    for (_, command) in &commands {
        assert_eq!(batch(command).new_series(), &[b"m,a=1"]);
    }
    let times: Vec<i64> = commands.iter().flat_map(|(_, c)| rows(c)).map(|row| row.1).collect();
    assert!(times.is_sorted());
}

#[test]
fn a_body_of_bad_lines_has_a_bounded_error() {
    let line = "x".repeat(1 << 20);
    let body = [line.as_str(); 40].join("\n");
    let text = refused(run(&catalog(0), &request(&body), &[]));
    assert!(text.len() < 18 << 20, "{} bytes", text.len());
    assert!(text.ends_with("\nunable to parse 24 more lines"), "{}", &text[text.len() - 100..]);
    let good = ready(run(&catalog(0), &request(&format!("m v=1 1\n{body}")), &[]));
    assert!(good.complaint.unwrap().len() < 18 << 20);
}

#[test]
fn one_point_may_not_give_a_field_two_types() {
    let mut empty = catalog(0);
    empty
        .apply(&CatalogCommand::CreateDatabase { name: "new".into(), policy: PolicySpec::default() })
        .unwrap();
    empty.databases.swap_remove(0);
    let told = disagreement(run(&empty, &request("m v=1,v=\"x\" 1"), &[]));
    assert_eq!(told, [("v".to_owned(), FieldType::Float)]);
    let complaint = |is: &str| {
        Some(format!(
            "partial write: field type conflict: input field \"v\" on measurement \"m\" is type {is}, \
             already exists as type float dropped=1"
        ))
    };
    for (body, is) in
        [("m v=1,v=\"x\" 1", "string"), ("m v=1i,v=2 1", "integer"), ("m v=2,v=1i 1", "integer")]
    {
        let prepared = ready(run(&catalog(0), &request(body), &[]));
        assert_eq!((prepared.points, prepared.complaint), (0, complaint(is)), "{body}");
    }
    match run(&catalog(0), &request("n v=1,v=\"x\" 1"), &[]) {
        Outcome::UnknownFields(fields) => assert_eq!(fields[0].field_type, FieldType::Float),
        outcome => panic!("{outcome:?}"),
    }
}

fn limited(body: &str, known: &[&[u8]], series_max: u64, values_max: u64) -> (usize, Option<String>) {
    let limits = SeriesLimits { series_max, values_max };
    let prepared = ready(run_limited(&catalog(0), &request(body), known, limits));
    (prepared.points, prepared.complaint)
}

#[test]
fn series_up_to_the_limit_are_created_and_one_more_is_not() {
    let known: &[&[u8]] = &[b"m,a=1", b"m,a=2", b"m,a=3"];
    let two_new = "m,a=1 v=1 1\nm,a=4 v=1 1\nm,a=5 v=1 1\nm,a=5 v=1 2";
    assert_eq!(limited(two_new, known, 5, 0), (4, None));
    let exceeded = |limit: u64, dropped: usize| {
        Some(format!("partial write: max-series-per-database limit exceeded: ({limit}) dropped={dropped}"))
    };
    // All new series of the body are left out, the first ones too.
    assert_eq!(limited(two_new, known, 4, 0), (1, exceeded(4, 3)));
    assert_eq!(limited(two_new, known, 3, 0), (1, exceeded(3, 3)));
    assert_eq!(limited(two_new, known, 1, 0), (1, exceeded(1, 3)));
    assert_eq!(limited(two_new, known, 0, 0), (4, None));
    assert_eq!(limited("m,a=1 v=1 1\nm,a=3 v=1 1", known, 1, 1), (2, None));
}

#[test]
fn tag_values_up_to_the_limit_are_created_and_one_more_is_not() {
    let known: &[&[u8]] = &[b"m,h=1", b"m,h=2", b"m,h=3"];
    let exceeded = |tag: &str, value: &str, dropped: usize| {
        Some(format!(
            "partial write: max-values-per-tag limit exceeded (3/3): measurement=\"m\" tag=\"{tag}\" \
             value=\"{value}\" dropped={dropped}"
        ))
    };
    assert_eq!(limited("m,h=4 v=1 1", known, 0, 4), (1, None));
    assert_eq!(limited("m,h=4 v=1 1", known, 0, 3), (0, exceeded("h", "4", 1)));
    // What is counted is what was there before the body, as in 1.x.
    assert_eq!(limited("m,h=4 v=1 1\nm,h=5 v=1 1", known, 0, 4), (2, None));
    let body = "m,h=4 v=1 1\nm,h=1,z=1 v=1 1\nm,h=1 v=1 2\nm,a=1,h=6 v=1 1\nm,h=4 v=1 2";
    assert_eq!(limited(body, known, 0, 3), (2, exceeded("h", "4", 3)));
    assert_eq!(limited("m,h=a\\ \\\"b v=1 1", known, 0, 3), (0, exceeded("h", "a \\\\\\\"b", 1)));
}

#[test]
fn the_limit_on_series_outweighs_that_on_values_and_both_outweigh_other_reasons() {
    let known: &[&[u8]] = &[b"m,h=1", b"m,h=2", b"m,h=3"];
    let text = |body, series_max| limited(body, known, series_max, 3).1.unwrap();
    let both = "m,h=1 v=\"x\" 1\nm,time=1 v=1 1\nm,h=4 v=1 1\nm,x=1 v=1 1";
    assert_eq!(text(both, 3), "partial write: max-series-per-database limit exceeded: (3) dropped=4");
    assert_eq!(
        text(both, 4),
        "partial write: max-values-per-tag limit exceeded (3/3): measurement=\"m\" tag=\"h\" value=\"4\" dropped=3"
    );
    assert!(text("m,time=1 v=1 1\nm,h=1 v=\"x\" 1", 3).starts_with("partial write: invalid tag key"));
}

/// Pieces of line protocol, and what goes wrong in it.
fn bodies() -> impl Strategy<Value = String> {
    let measurement = proptest::sample::select(vec![
        "m", "m", "m", "n", "a\\ b", "a\\=b", "a\\\\=b", "q\"", "#m", "", " m",
    ]);
    let tags = proptest::sample::select(vec![
        "",
        "",
        ",a=1",
        ",a=1",
        ",a=1,b=2",
        ",b=2,a=1",
        ",a=\\ x\\,",
        ",a=1,a=2",
        ",a==1",
        ",a=\\=1",
        ",time=1",
        ",a=",
        ",a=\"",
        ",a=b\\",
    ]);
    let fields = proptest::sample::select(vec![
        " v=1",
        " v=1",
        " v=2.5",
        " v=1i",
        " i=7i,v=3",
        " v=\"x\"",
        " v=\"a b\nc\"",
        " v=1,v=2",
        " v=1,v=2i",
        " time=1",
        " time=1,v=2",
        " x=1",
        " v=",
        "  v=1",
        " v=t",
        "",
        " i=1i,v=1e3",
    ]);
    let time =
        proptest::sample::select(vec!["", " 1", " 1", " 2", " -5", "  1699999999999999999", " x", " 1 "]);
    let end = proptest::sample::select(vec!["\n", "\n", "\n", "\n\n", "\r\n", "\\\n", "", "\n# c \"\n"]);
    let line =
        (measurement, tags, fields, time, end).prop_map(|(m, t, f, at, end)| format!("{m}{t}{f}{at}{end}"));
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    /// What is looked up as it was sent comes to the same as what is parsed to the last byte.
    #[test]
    fn the_short_way_and_the_long_way_agree(
        body in bodies(),
        other in bodies(),
        known in proptest::collection::vec(any::<bool>(), 24),
        kept in any::<bool>(),
    ) {
        let catalog = catalog(if kept { HOUR_NS } else { 0 });
        let mut keys = reference::canonical_keys(&body);
        keys.extend(reference::canonical_keys(&other));
        keys.retain(|key| !check::has_time_tag(key));
        let keys: Vec<&[u8]> = keys.iter().zip(&known).filter(|(_, known)| **known).map(|(k, _)| &**k).collect();
        let outcome = run(&catalog, &request(&body), &keys);
        let id = |key: &[u8]| keys.iter().position(|known| *known == key).map(|at| SeriesId(at as u32));
        let expected = reference::prepare(&request(&body), &catalog, NOW, &id);
        match (outcome, expected) {
            (Outcome::Ready(prepared), reference::Outcome::Ready { commands: expected, points, dropped, complaint }) => {
                prop_assert_eq!(commands(&prepared), expected);
                prop_assert_eq!((prepared.points, prepared.dropped), (points, dropped));
                prop_assert_eq!(prepared.complaint, complaint);
            }
            (Outcome::UnknownFields(fields), reference::Outcome::UnknownFields(expected)) => {
                prop_assert_eq!(fields, expected);
            }
            (Outcome::Refused(error), reference::Outcome::Refused(expected)) => prop_assert_eq!(error, expected),
            (Outcome::Disagreement(fields), reference::Outcome::Disagreement(expected)) => {
                prop_assert_eq!(fields, expected);
            }
            (outcome, expected) => prop_assert!(false, "{outcome:?} is not {expected:?}"),
        }
    }
}
