//! A user's own question to the database.

use async_trait::async_trait;

use crate::db::{Dialect, Statement, Value};

use super::{Line, Reading, Signal, SignalError, Unit};

/// At so many limits the work stands still.
const CRITICAL: f64 = 1.5;

/// A query that answers a number. It has a session of its own: neither the operator nor our own
/// signals are to wait for it.
pub struct ProbeSql {
    sql: String,
    limit: f64,
    dialect: Dialect,
}

impl ProbeSql {
    /// This query, whose number may be at most so large.
    pub fn new(sql: &str, limit: f64, dialect: Dialect) -> Self {
        ProbeSql { sql: sql.trim_end_matches([';', ' ', '\n']).to_owned(), limit, dialect }
    }
}

#[async_trait]
impl Signal for ProbeSql {
    fn name(&self) -> &'static str {
        "probe-sql"
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        // It is asked again and again: what it changed by mistake, it would change each second.
        session.set(self.dialect.only_read()).await?;
        let rows = session.query(&Statement::new(self.sql.clone(), Vec::new())).await?;
        let value = match rows.first().and_then(|row| row.0.first()) {
            Some(Value::Int(value)) => Some(*value as f64),
            Some(Value::Text(text)) => {
                text.trim().parse().ok().filter(|value: &f64| value.is_finite())
            }
            _ => None,
        };
        let value = value.ok_or_else(|| SignalError::Other("the answer is no number".into()))?;
        let (limit, critical) = (self.limit, CRITICAL * self.limit);
        Ok(Some(Reading { value, limit, critical, unit: Unit::Number, subject: None }))
    }
}
