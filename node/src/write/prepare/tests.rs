//! Bodies and what becomes of them, without a cluster.

use super::*;
use model::FieldId;
use model::batch::BatchReader;
use model::catalog::{Catalog, CatalogCommand, PolicySpec};
use model::time::HOUR_NS;
use model::value::ValueRef;

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

fn run(catalog: &Catalog, request: &WriteRequest, known: &[&[u8]]) -> Outcome {
    let lookup = |_: GroupId, key: &[u8]| known.iter().position(|k| *k == key).map(|at| SeriesId(at as u32));
    let around =
        Surroundings { database: &catalog.databases[0], slots: &catalog.slots, now_ns: NOW, lookup: &lookup };
    prepare(request, &around)
}

fn ready(outcome: Outcome) -> Prepared {
    match outcome {
        Outcome::Ready(prepared) => prepared,
        Outcome::Refused(error) => panic!("refused: {error}"),
        Outcome::UnknownFields(fields) => panic!("unknown fields: {fields:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(error) => error.to_string(),
        Outcome::Ready(_) | Outcome::UnknownFields(_) => panic!("not refused"),
    }
}

fn rows(command: &Bytes) -> Vec<(RowSeries, i64, FieldId, ValueRef<'_>)> {
    let reader = BatchReader::new(&command[1..]).unwrap();
    reader.map(|row| row.map(|r| (r.series, r.time, r.field, r.value)).unwrap()).collect()
}

#[test]
fn a_known_series_is_named_by_its_id_and_a_new_one_once() {
    let catalog = catalog(0);
    let body = "m,a=1 v=1 5\nm,a=1 v=2 6\n";
    let prepared = ready(run(&catalog, &request(body), &[b"m,a=1"]));
    let known = rows(&prepared.commands[0].1);
    assert_eq!(known[0].0, RowSeries::Known(SeriesId(0)));
    let prepared = ready(run(&catalog, &request(body), &[]));
    assert_eq!(prepared.commands.len(), 1);
    let command = &prepared.commands[0].1;
    assert_eq!(BatchReader::new(&command[1..]).unwrap().new_series(), &[b"m,a=1"]);
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
        Outcome::Ready(_) | Outcome::Refused(_) => panic!("the field is unknown"),
    }
}

#[test]
fn the_first_body_of_a_database_must_agree_with_itself() {
    let mut catalog = catalog(0);
    catalog
        .apply(&CatalogCommand::CreateDatabase { name: "new".into(), policy: PolicySpec::default() })
        .unwrap();
    catalog.databases.swap_remove(0);
    assert_eq!(refused(run(&catalog, &request("n x=1 1\nn x=1i 2"), &[])), "field type conflict");
}

#[test]
fn new_fields_are_asked_for_in_a_fixed_order() {
    match run(&catalog(0), &request("n b=1,a=2i 1\nm v=1 1"), &[]) {
        Outcome::UnknownFields(fields) => {
            let names: Vec<&str> = fields.iter().map(|f| &*f.field).collect();
            assert_eq!(names, ["a", "b"]);
        }
        Outcome::Ready(_) | Outcome::Refused(_) => panic!("fields are unknown"),
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
    assert_eq!(rows(&prepared.commands[0].1)[0].1, NOW - NOW % 60_000_000_000);
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
    assert!(prepared.commands.len() > 4);
    assert!(prepared.commands.iter().all(|(_, c)| c.len() < COMMAND_BYTES_MAX));
    let total: usize = prepared.commands.iter().map(|(_, c)| rows(c).len()).sum();
    assert_eq!(total, 200_000);
}
