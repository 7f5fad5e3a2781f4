//! Random statements, all kinds but those whose text hides a password.

use super::expressions::{condition, duration_ns, name, pattern, text, value};
use proptest::prelude::*;
use query::influxql::ast::{
    AlterRetentionPolicy, Cardinality, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy,
    CreateSubscription, Delete, DropMeasurement, DropSeries, DropSubscription, Explain, Expr, Fill,
    FillNumber, Grant, KillQuery, MeasurementName, Privilege, Revoke, SelectField, SelectStatement,
    ShowFieldKeys, ShowMeasurements, ShowSeries, ShowStats, ShowTagKeys, ShowTagValues,
    ShowTagValuesCardinality, SortField, Source, Statement, SubscriptionMode, TagKeyMatch,
};

fn optional_name() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), name()]
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..100_u64, Just(i64::MAX as u64)]
}

fn order() -> impl Strategy<Value = Vec<SortField>> {
    prop::option::of(("(time)?", proptest::bool::ANY))
        .prop_map(|order| order.map(|(name, ascending)| SortField { name, ascending }).into_iter().collect())
}

fn measurement() -> impl Strategy<Value = MeasurementName> {
    (optional_name(), optional_name(), name(), prop::option::of(pattern())).prop_map(
        |(database, policy, name, regex)| {
            let name = if regex.is_some() { String::new() } else { name };
            MeasurementName { database, policy, name, regex, is_target: false }
        },
    )
}

fn bare_measurement() -> impl Strategy<Value = Source> {
    measurement().prop_map(|name| {
        Source::Measurement(MeasurementName { database: String::new(), policy: String::new(), ..name })
    })
}

fn target() -> impl Strategy<Value = MeasurementName> {
    (optional_name(), name(), optional_name()).prop_map(|(database, policy, name)| MeasurementName {
        database,
        policy,
        name,
        regex: None,
        is_target: true,
    })
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    prop::collection::vec(measurement().prop_map(Source::Measurement), 0..3)
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        Just(Fill::Null),
        Just(Fill::None),
        Just(Fill::Previous),
        Just(Fill::Linear),
        proptest::num::i64::ANY.prop_map(|n| Fill::Number(FillNumber::Integer(n))),
        (-999..999_i32).prop_map(|n| Fill::Number(FillNumber::Float(f64::from(n) + 0.5))),
    ]
}

fn select() -> impl Strategy<Value = SelectStatement> {
    let simple =
        select_from(prop::collection::vec(measurement().prop_map(Source::Measurement), 1..3).boxed());
    simple.prop_recursive(2, 4, 2, |inner| {
        let source = prop_oneof![
            inner.prop_map(|select| Source::Subquery(Box::new(select))),
            measurement().prop_map(Source::Measurement),
        ];
        select_from(prop::collection::vec(source, 1..3).boxed())
    })
}

fn select_from(sources: BoxedStrategy<Vec<Source>>) -> BoxedStrategy<SelectStatement> {
    let field = (value(), prop::option::of(name())).prop_map(|(expr, alias)| SelectField { expr, alias });
    let clauses = (
        prop::collection::vec(field, 1..3),
        prop::option::of(target()),
        sources,
        prop::option::of(condition()),
        prop::collection::vec(value(), 0..3),
        fill(),
        order(),
    );
    let limits = (limit(), limit(), limit(), limit(), prop::option::of("UTC|Europe/Berlin"));
    (clauses, limits)
        .prop_map(|((fields, target, sources, condition, dimensions, fill, order), limits)| SelectStatement {
            fields,
            target,
            sources,
            condition,
            dimensions,
            fill,
            order,
            limit: limits.0,
            offset: limits.1,
            slimit: limits.2,
            soffset: limits.3,
            time_zone: limits.4,
        })
        .boxed()
}

fn key() -> impl Strategy<Value = TagKeyMatch> {
    prop_oneof![
        name().prop_map(TagKeyMatch::Equal),
        name().prop_map(TagKeyMatch::NotEqual),
        pattern().prop_map(TagKeyMatch::Match),
        pattern().prop_map(TagKeyMatch::NotMatch),
        prop::collection::vec(name(), 1..3).prop_map(TagKeyMatch::In),
    ]
}

fn cardinality() -> impl Strategy<Value = Cardinality> {
    let filter = (prop::option::of(condition()), prop::collection::vec(value(), 0..2));
    (proptest::bool::ANY, optional_name(), sources(), filter, limit(), limit()).prop_map(
        |(exact, database, sources, (condition, dimensions), limit, offset)| Cardinality {
            exact,
            database,
            sources,
            condition,
            dimensions,
            limit,
            offset,
        },
    )
}

/// ON, FROM, WHERE, ORDER BY, LIMIT, OFFSET of a SHOW statement.
type ShowClauses = (String, Vec<Source>, Option<Expr>, Vec<SortField>, u64, u64);

fn show_clauses() -> impl Strategy<Value = ShowClauses> {
    (optional_name(), sources(), prop::option::of(condition()), order(), limit(), limit())
}

fn show() -> impl Strategy<Value = Statement> {
    prop_oneof![
        (show_clauses(), prop::option::of(measurement())).prop_map(
            |((database, _, condition, order, limit, offset), measurement)| {
                Statement::ShowMeasurements(ShowMeasurements {
                    database,
                    measurement,
                    condition,
                    order,
                    limit,
                    offset,
                })
            }
        ),
        show_clauses().prop_map(|(database, sources, condition, order, limit, offset)| {
            Statement::ShowSeries(ShowSeries { database, sources, condition, order, limit, offset })
        }),
        (show_clauses(), limit(), limit()).prop_map(
            |((database, sources, condition, order, limit, offset), slimit, soffset)| {
                Statement::ShowTagKeys(ShowTagKeys {
                    database,
                    sources,
                    condition,
                    order,
                    limit,
                    offset,
                    slimit,
                    soffset,
                })
            }
        ),
        (show_clauses(), key()).prop_map(|((database, sources, condition, order, limit, offset), key)| {
            Statement::ShowTagValues(ShowTagValues {
                database,
                sources,
                key,
                condition,
                order,
                limit,
                offset,
            })
        }),
        show_clauses().prop_map(|(database, sources, _, order, limit, offset)| {
            Statement::ShowFieldKeys(ShowFieldKeys { database, sources, order, limit, offset })
        }),
        cardinality().prop_map(Statement::ShowSeriesCardinality),
        cardinality().prop_map(Statement::ShowMeasurementCardinality),
        cardinality().prop_map(Statement::ShowTagKeyCardinality),
        cardinality().prop_map(Statement::ShowFieldKeyCardinality),
        (cardinality(), key()).prop_map(|(cardinality, key)| {
            Statement::ShowTagValuesCardinality(ShowTagValuesCardinality { cardinality, key })
        }),
        text().prop_map(|module| Statement::ShowStats(ShowStats { module })),
    ]
}

fn policy_statement() -> impl Strategy<Value = Statement> {
    let duration = || duration_ns().prop_map(i64::abs);
    let replication = || 1..=i32::MAX as u32;
    let whole_hours = || (1..1_000_i64).prop_map(|h| h * 3_600_000_000_000);
    let options = (prop::option::of(whole_hours()), prop::option::of(replication()), optional_name());
    prop_oneof![
        (name(), options).prop_map(|(name, (duration_ns, replication, policy_name))| {
            let with = duration_ns.is_some() || replication.is_some() || !policy_name.is_empty();
            let shard_duration_ns = 0;
            // Go prints these durations as `24h0m0s`, which InfluxQL cannot read when a part is zero.
            Statement::CreateDatabase(CreateDatabase {
                name,
                with,
                duration_ns,
                replication,
                shard_duration_ns,
                policy_name,
            })
        }),
        (name(), name(), duration(), replication(), duration(), proptest::bool::ANY).prop_map(
            |(name, database, duration_ns, replication, shard_duration_ns, default)| {
                Statement::CreateRetentionPolicy(CreateRetentionPolicy {
                    name,
                    database,
                    duration_ns,
                    replication,
                    shard_duration_ns,
                    default,
                })
            }
        ),
        (
            name(),
            name(),
            prop::option::of(duration()),
            prop::option::of(replication()),
            prop::option::of(duration())
        )
            .prop_map(|(name, database, duration_ns, replication, shard_duration_ns)| {
                Statement::AlterRetentionPolicy(AlterRetentionPolicy {
                    name,
                    database,
                    duration_ns,
                    replication,
                    shard_duration_ns,
                    default: true,
                })
            }),
    ]
}

fn raw_continuous_query() -> impl Strategy<Value = Statement> {
    (name(), name(), 0..100_i64, select(), target(), name()).prop_map(
        |(name, database, every, select, target, field)| {
            let field = SelectField { expr: Expr::Distinct(field), alias: None };
            let source = SelectStatement {
                fields: vec![field],
                target: Some(target),
                dimensions: Vec::new(),
                ..select
            };
            Statement::CreateContinuousQuery(CreateContinuousQuery {
                name,
                database,
                resample_every_ns: every,
                resample_for_ns: 0,
                source: Box::new(source),
            })
        },
    )
}

fn other() -> impl Strategy<Value = Statement> {
    let privilege = || prop::sample::select(vec![Privilege::Read, Privilege::Write, Privilege::All]);
    let mode = prop::sample::select(vec![SubscriptionMode::All, SubscriptionMode::Any]);
    let filter = || (prop::collection::vec(bare_measurement(), 1..3), prop::option::of(condition()));
    prop_oneof![
        filter().prop_map(|(sources, condition)| Statement::Delete(Delete { sources, condition })),
        filter().prop_map(|(sources, condition)| Statement::DropSeries(DropSeries { sources, condition })),
        name().prop_map(|name| Statement::DropMeasurement(DropMeasurement { name })),
        (name(), name(), name()).prop_map(|(name, database, policy)| Statement::DropSubscription(
            DropSubscription { name, database, policy }
        )),
        (name(), name(), name(), mode, prop::collection::vec(text(), 1..3)).prop_map(
            |(name, database, policy, mode, destinations)| {
                Statement::CreateSubscription(CreateSubscription {
                    name,
                    database,
                    policy,
                    mode,
                    destinations,
                })
            }
        ),
        (privilege(), name(), name()).prop_map(|(privilege, database, user)| Statement::Grant(Grant {
            privilege,
            database,
            user
        })),
        (privilege(), name(), name()).prop_map(|(privilege, database, user)| Statement::Revoke(Revoke {
            privilege,
            database,
            user
        })),
        (proptest::num::u64::ANY, optional_name())
            .prop_map(|(id, host)| Statement::KillQuery(KillQuery { id, host })),
        (select(), proptest::bool::ANY).prop_map(|(select, analyze)| {
            Statement::Explain(Explain { statement: Box::new(select), analyze })
        }),
    ]
}

/// Any statement.
pub(super) fn any() -> impl Strategy<Value = Statement> {
    prop_oneof![
        2 => select().prop_map(|select| Statement::Select(Box::new(select))),
        2 => show(),
        1 => policy_statement(),
        1 => raw_continuous_query(),
        1 => other(),
    ]
}
