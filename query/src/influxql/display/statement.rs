//! Canonical text of the statements other than SELECT.

use super::{Ident, Quoted, Slashed, comma_separated, condition, from, group_by, limit, on, order_by};
use crate::influxql::ast::{
    AlterRetentionPolicy, Cardinality, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy,
    CreateSubscription, Explain, Expr, KillQuery, Privilege, ShowFieldKeys, ShowMeasurements, ShowSeries,
    ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, Source, Statement, SubscriptionMode, TagKeyMatch,
};
use crate::influxql::duration;
use std::fmt::{self, Display, Formatter};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select(s) => s.fmt(f),
            Self::Explain(s) => s.fmt(f),
            Self::Delete(s) => removal(f, "DELETE", &s.sources, s.condition.as_ref()),
            Self::ShowDatabases => f.write_str("SHOW DATABASES"),
            Self::ShowMeasurements(s) => s.fmt(f),
            Self::ShowMeasurementCardinality(s) => cardinality(f, "MEASUREMENT", s, None),
            Self::ShowSeries(s) => s.fmt(f),
            Self::ShowSeriesCardinality(s) => cardinality(f, "SERIES", s, None),
            Self::ShowTagKeys(s) => s.fmt(f),
            Self::ShowTagKeyCardinality(s) => cardinality(f, "TAG KEY", s, None),
            Self::ShowTagValues(s) => s.fmt(f),
            Self::ShowTagValuesCardinality(s) => s.fmt(f),
            Self::ShowFieldKeys(s) => s.fmt(f),
            Self::ShowFieldKeyCardinality(s) => cardinality(f, "FIELD KEY", s, None),
            Self::ShowRetentionPolicies(s) => {
                f.write_str("SHOW RETENTION POLICIES")?;
                on(f, &s.database)
            }
            Self::ShowContinuousQueries => f.write_str("SHOW CONTINUOUS QUERIES"),
            Self::ShowSubscriptions => f.write_str("SHOW SUBSCRIPTIONS"),
            Self::ShowUsers => f.write_str("SHOW USERS"),
            Self::ShowGrants(s) => write!(f, "SHOW GRANTS FOR {}", Ident(&s.user)),
            Self::ShowQueries => f.write_str("SHOW QUERIES"),
            Self::ShowShards => f.write_str("SHOW SHARDS"),
            Self::ShowShardGroups => f.write_str("SHOW SHARD GROUPS"),
            Self::ShowStats(s) => of_module(f, "SHOW STATS", &s.module),
            Self::ShowDiagnostics(s) => of_module(f, "SHOW DIAGNOSTICS", &s.module),
            Self::CreateDatabase(s) => s.fmt(f),
            Self::CreateRetentionPolicy(s) => s.fmt(f),
            Self::CreateContinuousQuery(s) => s.fmt(f),
            Self::CreateSubscription(s) => s.fmt(f),
            Self::CreateUser(s) => {
                write!(f, "CREATE USER {} WITH PASSWORD [REDACTED]", Ident(&s.name))?;
                f.write_str(if s.admin { " WITH ALL PRIVILEGES" } else { "" })
            }
            Self::AlterRetentionPolicy(s) => s.fmt(f),
            Self::SetPassword(s) => write!(f, "SET PASSWORD FOR {} = [REDACTED]", Ident(&s.name)),
            Self::Grant(s) => {
                write!(f, "GRANT {} ON {} TO {}", s.privilege, Ident(&s.database), Ident(&s.user))
            }
            Self::GrantAdmin(s) => write!(f, "GRANT ALL PRIVILEGES TO {}", Ident(&s.user)),
            Self::Revoke(s) => {
                write!(f, "REVOKE {} ON {} FROM {}", s.privilege, Ident(&s.database), Ident(&s.user))
            }
            Self::RevokeAdmin(s) => write!(f, "REVOKE ALL PRIVILEGES FROM {}", Ident(&s.user)),
            Self::DropDatabase(s) => write!(f, "DROP DATABASE {}", Ident(&s.name)),
            Self::DropRetentionPolicy(s) => {
                write!(f, "DROP RETENTION POLICY {} ON {}", Ident(&s.name), Ident(&s.database))
            }
            Self::DropMeasurement(s) => write!(f, "DROP MEASUREMENT {}", Ident(&s.name)),
            Self::DropSeries(s) => removal(f, "DROP SERIES", &s.sources, s.condition.as_ref()),
            Self::DropShard(s) => write!(f, "DROP SHARD {}", s.id),
            Self::DropContinuousQuery(s) => {
                write!(f, "DROP CONTINUOUS QUERY {} ON {}", Ident(&s.name), Ident(&s.database))
            }
            Self::DropSubscription(s) => {
                let (name, database, policy) = (Ident(&s.name), Ident(&s.database), Ident(&s.policy));
                write!(f, "DROP SUBSCRIPTION {name} ON {database}.{policy}")
            }
            Self::DropUser(s) => write!(f, "DROP USER {}", Ident(&s.name)),
            Self::KillQuery(s) => s.fmt(f),
        }
    }
}

impl Display for Explain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "EXPLAIN {}{}", if self.analyze { "ANALYZE " } else { "" }, self.statement)
    }
}

impl Display for Privilege {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::All => "ALL PRIVILEGES",
        })
    }
}

impl Display for KillQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "KILL QUERY {}", self.id)?;
        on(f, &self.host)
    }
}

impl Display for ShowMeasurements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW MEASUREMENTS")?;
        on(f, &self.database)?;
        if let Some(measurement) = &self.measurement {
            let op = if measurement.regex.is_some() { "=~" } else { "=" };
            write!(f, " WITH MEASUREMENT {op} {measurement}")?;
        }
        condition(f, self.condition.as_ref())?;
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)
    }
}

impl Display for ShowSeries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW SERIES")?;
        on(f, &self.database)?;
        from(f, &self.sources)?;
        condition(f, self.condition.as_ref())?;
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)
    }
}

impl Display for ShowTagKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG KEYS")?;
        on(f, &self.database)?;
        from(f, &self.sources)?;
        condition(f, self.condition.as_ref())?;
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)?;
        limit(f, "SLIMIT", self.slimit)?;
        limit(f, "SOFFSET", self.soffset)
    }
}

impl Display for ShowTagValues {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG VALUES")?;
        on(f, &self.database)?;
        from(f, &self.sources)?;
        self.key.fmt(f)?;
        condition(f, self.condition.as_ref())?;
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)
    }
}

impl Display for ShowFieldKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW FIELD KEYS")?;
        on(f, &self.database)?;
        from(f, &self.sources)?;
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)
    }
}

impl Display for ShowTagValuesCardinality {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        cardinality(f, "TAG VALUES", &self.cardinality, Some(&self.key))
    }
}

impl Display for TagKeyMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(" WITH KEY ")?;
        match self {
            Self::Equal(key) => write!(f, "= {}", Ident(key)),
            Self::NotEqual(key) => write!(f, "!= {}", Ident(key)),
            Self::Match(pattern) => write!(f, "=~ {}", Slashed(pattern)),
            Self::NotMatch(pattern) => write!(f, "!~ {}", Slashed(pattern)),
            Self::In(keys) => {
                f.write_str("IN (")?;
                comma_separated(f, keys.iter().map(|key| Ident(key)))?;
                f.write_str(")")
            }
        }
    }
}

impl Display for CreateDatabase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE DATABASE {}", Ident(&self.name))?;
        if !self.with {
            return Ok(());
        }
        f.write_str(" WITH")?;
        if let Some(ns) = self.duration_ns {
            write!(f, " DURATION {}", duration::format_go(ns))?;
        }
        if let Some(n) = self.replication {
            write!(f, " REPLICATION {n}")?;
        }
        if self.shard_duration_ns > 0 {
            write!(f, " SHARD DURATION {}", duration::format_go(self.shard_duration_ns))?;
        }
        if !self.policy_name.is_empty() {
            write!(f, " NAME {}", Ident(&self.policy_name))?;
        }
        Ok(())
    }
}

impl Display for CreateRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let duration = duration::format(self.duration_ns);
        let (name, database) = (Ident(&self.name), Ident(&self.database));
        write!(f, "CREATE RETENTION POLICY {name} ON {database} DURATION {duration}")?;
        write!(f, " REPLICATION {}", self.replication)?;
        if self.shard_duration_ns > 0 {
            write!(f, " SHARD DURATION {}", duration::format(self.shard_duration_ns))?;
        }
        f.write_str(if self.default { " DEFAULT" } else { "" })
    }
}

impl Display for AlterRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER RETENTION POLICY {} ON {}", Ident(&self.name), Ident(&self.database))?;
        if let Some(ns) = self.duration_ns {
            write!(f, " DURATION {}", duration::format(ns))?;
        }
        if let Some(n) = self.replication {
            write!(f, " REPLICATION {n}")?;
        }
        if let Some(ns) = self.shard_duration_ns {
            write!(f, " SHARD DURATION {}", duration::format(ns))?;
        }
        f.write_str(if self.default { " DEFAULT" } else { "" })
    }
}

impl Display for CreateContinuousQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE CONTINUOUS QUERY {} ON {} ", Ident(&self.name), Ident(&self.database))?;
        if self.resample_every_ns > 0 || self.resample_for_ns > 0 {
            f.write_str("RESAMPLE ")?;
        }
        if self.resample_every_ns > 0 {
            write!(f, "EVERY {} ", duration::format(self.resample_every_ns))?;
        }
        if self.resample_for_ns > 0 {
            write!(f, "FOR {} ", duration::format(self.resample_for_ns))?;
        }
        write!(f, "BEGIN {} END", self.source)
    }
}

impl Display for CreateSubscription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, database, policy) = (Ident(&self.name), Ident(&self.database), Ident(&self.policy));
        let mode = match self.mode {
            SubscriptionMode::All => "ALL",
            SubscriptionMode::Any => "ANY",
        };
        write!(f, "CREATE SUBSCRIPTION {name} ON {database}.{policy} DESTINATIONS {mode} ")?;
        comma_separated(f, self.destinations.iter().map(|url| Quoted(url)))
    }
}

/// DELETE and DROP SERIES.
fn removal(f: &mut Formatter<'_>, verb: &str, sources: &[Source], filter: Option<&Expr>) -> fmt::Result {
    f.write_str(verb)?;
    from(f, sources)?;
    condition(f, filter)
}

fn of_module(f: &mut Formatter<'_>, statement: &str, module: &str) -> fmt::Result {
    f.write_str(statement)?;
    if module.is_empty() { Ok(()) } else { write!(f, " FOR {}", Quoted(module)) }
}

fn cardinality(f: &mut Formatter<'_>, of: &str, s: &Cardinality, key: Option<&TagKeyMatch>) -> fmt::Result {
    write!(f, "SHOW {of}{} CARDINALITY", if s.exact { " EXACT" } else { "" })?;
    on(f, &s.database)?;
    from(f, &s.sources)?;
    if let Some(key) = key {
        key.fmt(f)?;
    }
    condition(f, s.condition.as_ref())?;
    group_by(f, &s.dimensions)?;
    limit(f, "LIMIT", s.limit)?;
    limit(f, "OFFSET", s.offset)
}
