//! Continuous queries: what they are, and how far each has come.
//!
//! The text is kept, not a plan: it is what SHOW CONTINUOUS QUERIES prints, and the crate that knows the language reads
//! it. How far a query has come is part of the catalog so that whoever runs it next goes on from there.

use super::{Catalog, CatalogError};
use crate::id::DatabaseId;
use std::sync::Arc;

/// A continuous query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinuousQuery {
    /// Never given again, also not to a query of the same name: the catalog's version that made it.
    pub id: u64,
    /// ON.
    pub database: DatabaseId,
    /// Unique in its database.
    pub name: Arc<str>,
    /// The whole CREATE CONTINUOUS QUERY statement, names filled in, in canonical text.
    pub query: Arc<str>,
    /// When it was created, ns by the clock of the node that was asked: the time of its first run if it has had none.
    pub created_ns: i64,
    /// The time for which it ran last, ns: everything due until then is written.
    pub last_run_ns: Option<i64>,
}

impl Catalog {
    /// The continuous queries of a database, in order of creation.
    pub fn continuous_queries_of(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<ContinuousQuery>> {
        self.continuous_queries.iter().filter(move |query| query.database == database)
    }

    /// The same statement again is no error (1.x compares without regard to case), another one of the name is.
    pub(super) fn create_continuous_query(
        &mut self,
        database: &str,
        name: &str,
        query: &str,
        created_ns: i64,
    ) -> Result<(), CatalogError> {
        let known = self.database(database);
        let id = known.ok_or_else(|| CatalogError::DatabaseNotFound { name: database.to_owned() })?.id;
        let existing = self.continuous_queries_of(id).find(|existing| &*existing.name == name);
        if let Some(existing) = existing {
            let same = existing.query.to_lowercase() == query.to_lowercase();
            return if same { Ok(()) } else { Err(CatalogError::ContinuousQueryExists) };
        }
        self.continuous_queries.push(Arc::new(ContinuousQuery {
            id: self.version,
            database: id,
            name: Arc::from(name),
            query: Arc::from(query),
            created_ns,
            last_run_ns: None,
        }));
        Ok(())
    }

    pub(super) fn drop_continuous_query(&mut self, database: &str, name: &str) {
        let Some(id) = self.database(database).map(|d| d.id) else { return };
        self.continuous_queries.retain(|query| query.database != id || &*query.name != name);
    }

    /// A run that is reported late must not take back what a later one has done.
    pub(super) fn record_continuous_run(&mut self, id: u64, last_run_ns: i64) {
        if let Some(query) = self.continuous_queries.iter_mut().find(|query| query.id == id) {
            let query = Arc::make_mut(query);
            query.last_run_ns = query.last_run_ns.max(Some(last_run_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogCommand, PolicySpec};
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for name in ["a", "b"] {
            let command =
                CatalogCommand::CreateDatabase { name: name.to_owned(), policy: PolicySpec::default() };
            catalog.apply(&command).unwrap();
        }
        catalog
    }

    fn create(catalog: &mut Catalog, database: &str, query: &str) -> Result<(), CatalogError> {
        catalog.apply(&CatalogCommand::CreateContinuousQuery {
            database: database.to_owned(),
            name: "cq".to_owned(),
            query: query.to_owned(),
            created_ns: 7,
        })
    }

    fn record(catalog: &mut Catalog, id: u64, last_run_ns: i64) {
        catalog.apply(&CatalogCommand::RecordContinuousRun { id, last_run_ns }).unwrap();
    }

    #[test]
    fn a_name_is_taken_by_another_statement_only() {
        let mut catalog = catalog();
        create(&mut catalog, "a", "SELECT x").unwrap();
        create(&mut catalog, "a", "select X").unwrap();
        assert_eq!(create(&mut catalog, "a", "SELECT y"), Err(CatalogError::ContinuousQueryExists));
        create(&mut catalog, "b", "SELECT y").unwrap();
        assert!(matches!(create(&mut catalog, "c", "SELECT y"), Err(CatalogError::DatabaseNotFound { .. })));
        assert_eq!(catalog.continuous_queries.len(), 2);
    }

    #[test]
    fn a_run_is_recorded_and_never_taken_back() {
        let mut catalog = catalog();
        create(&mut catalog, "a", "SELECT x").unwrap();
        let id = catalog.continuous_queries[0].id;
        record(&mut catalog, id, 20);
        record(&mut catalog, id, 10);
        record(&mut catalog, id + 100, 30);
        assert_eq!(catalog.continuous_queries[0].last_run_ns, Some(20));
    }

    #[test]
    fn a_query_created_again_is_another_query() {
        let mut catalog = catalog();
        create(&mut catalog, "a", "SELECT x").unwrap();
        let id = catalog.continuous_queries[0].id;
        let drop = CatalogCommand::DropContinuousQuery { database: "a".to_owned(), name: "cq".to_owned() };
        catalog.apply(&drop).unwrap();
        catalog.apply(&drop).unwrap();
        create(&mut catalog, "a", "SELECT x").unwrap();
        record(&mut catalog, id, 20);
        assert_eq!(catalog.continuous_queries[0].last_run_ns, None);
    }

    #[test]
    fn a_dropped_database_takes_its_queries_with_it() {
        let mut catalog = catalog();
        create(&mut catalog, "a", "SELECT x").unwrap();
        create(&mut catalog, "b", "SELECT x").unwrap();
        catalog.apply(&CatalogCommand::DropDatabase { name: "a".to_owned() }).unwrap();
        let left: Vec<_> = catalog.continuous_queries.iter().map(|query| query.database).collect();
        assert_eq!(left, [catalog.database("b").unwrap().id]);
    }
}
