//! Continuous queries: CREATE as a command for the catalog, and when which time range is due.
//!
//! The node keeps the clock and runs what is due; here is the arithmetic, which is InfluxDB 1.x's
//! (`services/continuous_querier`), with one difference. What was missed, because nobody ran queries for a while, is
//! done in steps of at most [`WINDOWS_MAX`] windows, each with the range that a punctual run would have had.

mod schedule;

pub use schedule::{Due, Schedule};

use crate::error::QueryError;
use crate::influxql::ast::CreateContinuousQuery;
use crate::names::{NameContext, each_name, fill_in_names};
use model::catalog::CatalogCommand;

/// Windows of one run, unless RESAMPLE FOR asks for more.
pub const WINDOWS_MAX: i64 = 1_000;

/// The catalog command for a CREATE CONTINUOUS QUERY that is asked for at `now_ns`.
///
/// # Errors
///
/// [`QueryError::Statement`]: a database or policy it names does not exist.
pub fn create_command(
    statement: &CreateContinuousQuery,
    context: &NameContext<'_>,
    now_ns: i64,
) -> Result<CatalogCommand, QueryError> {
    let mut full = statement.clone();
    let database = if context.database.is_empty() { &statement.database } else { context.database };
    fill_in_names(&mut full.source, &NameContext { database, ..*context })?;
    each_name(&full.source, &mut |name| {
        let database = context.catalog.database(&name.database);
        if database.is_some_and(|database| database.policy(&name.policy).is_some()) {
            return Ok(());
        }
        let text = format!("retention policy not found: {}.{}", name.database, name.policy);
        Err(QueryError::Statement(text))
    })?;
    Ok(CatalogCommand::CreateContinuousQuery {
        database: statement.database.clone(),
        name: statement.name.clone(),
        query: full.to_string(),
        created_ns: now_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::catalog_command;
    use crate::influxql::ast::Statement;
    use crate::influxql::parse_statement;
    use model::catalog::Catalog;

    fn created(text: &str, database: &str) -> Result<String, String> {
        let mut catalog = Catalog::default();
        for ddl in [
            "CREATE DATABASE d",
            "CREATE RETENTION POLICY week ON d DURATION 7d REPLICATION 1",
            "CREATE DATABASE e WITH NAME always",
            "CREATE DATABASE gone WITH NAME was",
            "DROP RETENTION POLICY was ON gone",
        ] {
            catalog.apply(&catalog_command(&parse_statement(ddl).unwrap()).unwrap()).unwrap();
        }
        let Statement::CreateContinuousQuery(statement) = parse_statement(text).unwrap() else {
            panic!("not a CREATE CONTINUOUS QUERY: {text}")
        };
        let context = NameContext { catalog: &catalog, database, policy: "" };
        match create_command(&statement, &context, 5).map_err(|error| error.to_string())? {
            CatalogCommand::CreateContinuousQuery { database, name, query, created_ns } => {
                assert_eq!((database.as_str(), name.as_str(), created_ns), ("d", "c", 5));
                Ok(query)
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(text: &str, database: &str, expected: Result<&str, &str>) {
        assert_eq!(created(text, database).as_deref(), expected.map_err(str::to_owned).as_deref());
    }

    #[test]
    fn names_are_filled_in() {
        check(
            "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO m5 FROM m GROUP BY time(5m) END",
            "",
            Ok(
                "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO d.autogen.m5 FROM d.autogen.m GROUP BY time(5m) END",
            ),
        );
        check(
            "CREATE CONTINUOUS QUERY c ON d RESAMPLE FOR 1h BEGIN SELECT mean(v) INTO week.:MEASUREMENT FROM e../.*/, (SELECT max(v) AS v FROM m) GROUP BY time(5m), * END",
            "",
            Ok(
                "CREATE CONTINUOUS QUERY c ON d RESAMPLE FOR 1h BEGIN SELECT mean(v) INTO d.week.:MEASUREMENT FROM e.always./.*/, (SELECT max(v) AS v FROM d.autogen.m) GROUP BY time(5m), * END",
            ),
        );
        // The database of the request goes before that of ON, as in 1.x.
        check(
            "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO m5 FROM d..m GROUP BY time(5m) END",
            "e",
            Ok(
                "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO e.always.m5 FROM d.autogen.m GROUP BY time(5m) END",
            ),
        );
    }

    #[test]
    fn what_it_names_must_exist() {
        let select = |target: &str, source: &str| {
            format!(
                "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO {target} FROM {source} GROUP BY time(5m) END"
            )
        };
        check(&select("nope.nope.m", "m"), "", Err("database not found: nope"));
        check(&select("d.nope.m", "m"), "", Err("retention policy not found: d.nope"));
        check(&select("m5", "nope.m"), "", Err("retention policy not found: d.nope"));
        check(&select("m5", "(SELECT v FROM d.nope.m)"), "", Err("retention policy not found: d.nope"));
        check(&select("m5", "m"), "nope", Err("database not found: nope"));
        let dropped = Err("retention policy not found: gone.was");
        check(&select("d.week.m5", "gone..m"), "", dropped);
    }
}
