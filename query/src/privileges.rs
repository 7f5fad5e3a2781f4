//! What a statement needs, and whether a user has it: statement → required privileges, as data.
//!
//! The HTTP surface asks before anything of a request runs, so that one statement that is not allowed refuses all of
//! them. Whether authorisation is on, and who the user is, is not known here. Texts and table are InfluxDB 1.x's, with
//! one difference: where 1.x forgets to ask for a privilege (exact cardinalities without FROM, a FROM that names another
//! database in SHOW), READ on the database that is read is required here.

use crate::influxql::ast::{Cardinality, Privilege, SelectStatement, Source, Statement};
use crate::result::{Cell, Series};
use model::catalog::{Access, User};

/// One privilege that a statement needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Required {
    /// Everything.
    Admin,
    /// Something of a database; an empty name is the database of the request.
    Database(Access, String),
}

/// What a statement needs, in the order in which it is looked at.
pub fn required(statement: &Statement) -> Vec<Required> {
    match statement {
        Statement::Select(select) => of_select(select),
        Statement::Explain(explain) => of_select(&explain.statement),
        Statement::ShowDatabases => Vec::new(),
        Statement::Delete(_) | Statement::DropSeries(_) => vec![write("")],
        Statement::DropRetentionPolicy(s) => vec![write(&s.database)],
        Statement::DropContinuousQuery(s) => vec![write(&s.database)],
        Statement::CreateContinuousQuery(s) => {
            let mut needs = vec![read(&s.database)];
            if let Some(target) = s.source.target.as_ref().filter(|target| !target.database.is_empty()) {
                needs.push(write(&target.database));
            }
            // 1.x lets it read other databases than its own for whoever may create it.
            sources(&s.source.sources, false, &mut needs);
            needs
        }
        Statement::ShowContinuousQueries | Statement::ShowQueries => vec![read("")],
        Statement::ShowRetentionPolicies(s) => vec![read(&s.database)],
        Statement::ShowMeasurements(s) => vec![read(&s.database)],
        Statement::ShowSeries(s) => of_show(&s.database, &s.sources),
        Statement::ShowTagKeys(s) => of_show(&s.database, &s.sources),
        Statement::ShowTagValues(s) => of_show(&s.database, &s.sources),
        Statement::ShowFieldKeys(s) => of_show(&s.database, &s.sources),
        Statement::ShowMeasurementCardinality(s) | Statement::ShowSeriesCardinality(s) => {
            if s.exact {
                of_exact(s)
            } else {
                of_show(&s.database, &s.sources)
            }
        }
        Statement::ShowTagKeyCardinality(s) | Statement::ShowFieldKeyCardinality(s) => of_exact(s),
        Statement::ShowTagValuesCardinality(s) => of_exact(&s.cardinality),
        Statement::ShowSubscriptions
        | Statement::ShowUsers
        | Statement::ShowGrants(_)
        | Statement::ShowShards
        | Statement::ShowShardGroups
        | Statement::ShowStats(_)
        | Statement::ShowDiagnostics(_)
        | Statement::CreateDatabase(_)
        | Statement::CreateRetentionPolicy(_)
        | Statement::CreateSubscription(_)
        | Statement::CreateUser(_)
        | Statement::AlterRetentionPolicy(_)
        | Statement::SetPassword(_)
        | Statement::Grant(_)
        | Statement::GrantAdmin(_)
        | Statement::Revoke(_)
        | Statement::RevokeAdmin(_)
        | Statement::DropDatabase(_)
        | Statement::DropMeasurement(_)
        | Statement::DropShard(_)
        | Statement::DropSubscription(_)
        | Statement::DropUser(_)
        | Statement::KillQuery(_) => vec![Required::Admin],
    }
}

/// Whether `user` may run all of these statements in a request to `database`.
///
/// # Errors
///
/// 1.x's text about the first one that is not allowed.
pub fn authorize(user: &User, statements: &[Statement], database: &str) -> Result<(), String> {
    if user.admin {
        return Ok(());
    }
    for statement in statements {
        for need in required(statement) {
            let lacks = match need {
                Required::Admin => "requires admin privilege".to_owned(),
                Required::Database(access, name) => {
                    let name = if name.is_empty() { database } else { &name };
                    if user.may(access, name) {
                        continue;
                    }
                    format!("requires {} on {name}", access.text())
                }
            };
            return Err(format!("{} not authorized to execute statement '{statement}', {lacks}", user.name));
        }
    }
    Ok(())
}

/// Whether a request creates the first admin: 1.x looks at its first statement only.
pub fn creates_admin(statements: &[Statement]) -> bool {
    matches!(statements.first(), Some(Statement::CreateUser(create)) if create.admin)
}

/// Leaves of SHOW DATABASES the databases that `user` may read or write.
pub fn hide_databases(user: &User, series: &mut [Series]) {
    for series in series {
        series.cells.retain(|cell| match cell {
            Cell::String(name) => user.may(Access::Read, name) || user.may(Access::Write, name),
            _ => false,
        });
    }
}

/// What GRANT and REVOKE say, in the words of the catalog.
pub(crate) fn access(privilege: Privilege) -> Access {
    match privilege {
        Privilege::Read => Access::Read,
        Privilege::Write => Access::Write,
        Privilege::All => Access::All,
    }
}

fn read(database: &str) -> Required {
    Required::Database(Access::Read, database.to_owned())
}

fn write(database: &str) -> Required {
    Required::Database(Access::Write, database.to_owned())
}

fn of_select(select: &SelectStatement) -> Vec<Required> {
    let mut needs = Vec::new();
    add_select(select, &mut needs);
    needs
}

fn add_select(select: &SelectStatement, needs: &mut Vec<Required>) {
    sources(&select.sources, true, needs);
    if let Some(target) = &select.target {
        needs.push(write(&target.database));
    }
}

/// READ on the databases of sources; on the request's for those that name none, if `unnamed`.
fn sources(of: &[Source], unnamed: bool, needs: &mut Vec<Required>) {
    for source in of {
        match source {
            Source::Measurement(name) if unnamed || !name.database.is_empty() => {
                needs.push(read(&name.database));
            }
            Source::Measurement(_) => {}
            Source::Subquery(inner) if unnamed => add_select(inner, needs),
            Source::Subquery(inner) => sources(&inner.sources, false, needs),
        }
    }
}

fn of_show(database: &str, of: &[Source]) -> Vec<Required> {
    let mut needs = vec![read(database)];
    sources(of, false, &mut needs);
    needs
}

/// 1.x looks at FROM first here, and at nothing else.
fn of_exact(cardinality: &Cardinality) -> Vec<Required> {
    let mut needs = Vec::new();
    sources(&cardinality.sources, true, &mut needs);
    if needs.is_empty() || !cardinality.database.is_empty() {
        needs.push(read(&cardinality.database));
    }
    needs
}
