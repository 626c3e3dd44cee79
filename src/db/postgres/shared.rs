//! A session behind a pooler in transaction mode: nothing of it is left in the server's session, which is
//! somebody else's after each transaction.
//!
//! What is to be set is set by each transaction for itself, and so is the name, by which a transaction
//! is known in `pg_stat_activity` for as long as it lasts. Values are written into the text, since a
//! prepared statement would stay behind, or be missing in another session.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::Notify;
use tokio_stream::StreamExt;

use super::error::Translator;
use super::session::{connect, decode};
use super::{limits, plain, raw, reading, table};
use crate::db::{
    Canceller, Column, DbError, Dialect, ErrorKind, Reading, Row, Session, Shape, Statement, Table,
    TableName,
};

pub struct SharedSession {
    /// `None` while it is in use: who drops what is under way hangs up with it.
    connection: Option<PgConnection>,
    options: PgConnectOptions,
    translate: Translator,
    canceller: Arc<HangUp>,
    /// What each transaction sets for itself, from the first one to the last.
    always: Vec<String>,
    /// And what it sets at the moment.
    local: Vec<String>,
}

impl SharedSession {
    /// One whose transactions have this name, and some digits behind it.
    pub async fn open(
        options: PgConnectOptions,
        translate: Translator,
        name: &str,
    ) -> Result<Self, DbError> {
        let connection = Some(connect(&options, &translate).await?);
        let name = format!("{name} {:08x}", fastrand::u32(..));
        let canceller = HangUp {
            asked: Notify::new(),
            name,
            options: options.clone(),
            translate: translate.clone(),
        };
        let (canceller, always, local) = (canceller.into(), Vec::new(), Vec::new());
        Ok(SharedSession { connection, options, translate, canceller, always, local })
    }

    /// Lets each transaction set this as well, whatever is reset.
    pub fn always(&mut self, setting: String) {
        self.always.push(setting);
    }

    /// Begins a transaction, as one text.
    fn begin(&self) -> String {
        let mut text = format!("begin; set local application_name = '{}'", self.canceller.name);
        for setting in self.always.iter().chain(&self.local) {
            text.push_str("; ");
            text.push_str(setting);
        }
        text
    }

    /// Does something on the connection. One that fails for good, that is hung up, or whose caller is gone
    /// is closed, and the pooler closes what it has open in the server; the next use opens another one.
    async fn on_connection<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection, &Translator) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options, &self.translate).await?,
        };
        let done = tokio::select! {
            // First: else it would be kept for whatever comes next.
            biased;
            () = self.canceller.asked.notified() => {
                return Err(DbError::new(ErrorKind::Cancelled, "given up by this run"));
            }
            done = work(&mut connection, &self.translate) => done,
        };
        if done.as_ref().err().is_none_or(|error| !error.is_lost()) {
            self.connection = Some(connection);
        }
        done
    }
}

/// Runs the list in the transaction that is begun.
async fn run_all(
    connection: &mut PgConnection,
    translate: &Translator,
    statements: &[Statement],
) -> Result<Vec<u64>, DbError> {
    let mut counts = Vec::with_capacity(statements.len());
    let began = Instant::now();
    for (index, statement) in statements.iter().enumerate() {
        let statement = statement.in_list(began);
        let text = text_of(&statement).map_err(|error| error.at(index))?;
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await;
        let rows = done.map_err(|error| translate.translate(error)).map_err(|mut error| {
            error.position = error.position.and_then(|at| plain::origin(&statement, at));
            error.at(index)
        })?;
        let rows = rows.rows_affected();
        if let Some(wanted) = statement.must_affect.filter(|wanted| *wanted != rows) {
            return Err(DbError::fenced(wanted, rows).at(index));
        }
        counts.push(rows);
    }
    Ok(counts)
}

/// As it is sent. A user's own text stays as it is.
fn text_of(statement: &Statement) -> Result<String, DbError> {
    let text = match statement.shape {
        Shape::Prepared => plain::inlined(statement),
        Shape::Script => Some(statement.sql.clone()),
    };
    text.ok_or_else(|| DbError::new(ErrorKind::Type, "a text with a zero character in it"))
}

/// The setting for one transaction.
fn local(sql: &str) -> String {
    match sql.strip_prefix("set ") {
        // The default counts from the next transaction on.
        Some(_) if sql == Dialect::POSTGRES.only_read() => "set transaction read only".to_owned(),
        Some(rest) => format!("set local {rest}"),
        // Without an answer, which would be taken for that of a query behind it.
        None if Some(sql) == Dialect::POSTGRES.commit_setting() => {
            "select 1 where case when current_setting('synchronous_standby_names', true) = '' \
             then set_config('synchronous_commit', 'off', true) is null end"
                .to_owned()
        }
        None => sql.to_owned(),
    }
}

#[async_trait]
impl Session for SharedSession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        // On a line of its own, since a user's query may end with a comment.
        let text = format!("{}; {}\n; commit", self.begin(), text_of(statement)?);
        self.on_connection(async |connection, translate| {
            let rows = fetch(connection, translate, text).await;
            if rows.as_ref().is_err_and(|error| !error.is_lost()) {
                raw(connection, "rollback", translate).await?;
            }
            // It would be a place in the whole text.
            rows.map_err(|error| DbError { position: None, ..error })
        })
        .await
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let begin = format!("{}{}", self.begin(), limits::set(statements));
        self.on_connection(async |connection, translate| {
            let done = match raw(connection, &begin, translate).await {
                Ok(_) => run_all(connection, translate, statements).await,
                Err(error) => Err(DbError { position: None, ..error }),
            };
            let end = if done.is_ok() { "commit" } else { "rollback" };
            let ended = sqlx::raw_sql(end).execute(&mut *connection).await;
            let error = match (done, ended) {
                (Ok(counts), Ok(_)) => return Ok(counts),
                (Err(error), Ok(_)) => return Err(error),
                (Ok(_), Err(error)) => translate.committing(error),
                (Err(error), Err(_)) => error,
            };
            // Where a limit strikes before the commit has begun, the transaction is open yet.
            if !error.is_lost() {
                raw(connection, "rollback", translate).await?;
            }
            Err(error)
        })
        .await
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.on_connection(async |connection, translate| {
            let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
            done.map(|done| done.rows_affected()).map_err(|error| translate.translate(error))
        })
        .await
    }

    async fn set(&mut self, sql: &str) -> Result<(), DbError> {
        let setting = local(sql);
        // Whoever sets the same every second sets it once; the last of one name counts.
        self.local.retain(|set| *set != setting);
        self.local.push(setting);
        Ok(())
    }

    async fn reset(&mut self, _resets: &[&str]) -> Result<(), DbError> {
        self.local.clear();
        Ok(())
    }

    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        table::read(self, name).await
    }

    async fn columns(&mut self, name: &TableName) -> Result<Vec<Column>, DbError> {
        table::columns(self, name).await
    }

    async fn has_table(&mut self, name: &TableName) -> Result<bool, DbError> {
        table::exists(self, name).await
    }

    async fn reading(&mut self, names: &[String]) -> Result<Reading, DbError> {
        reading::read(self, names).await
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        self.canceller.clone()
    }
}

async fn fetch(
    connection: &mut PgConnection,
    translate: &Translator,
    text: String,
) -> Result<Vec<Row>, DbError> {
    let mut stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch(connection);
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| translate.translate(error))?;
        rows.push(decode(&row, translate)?);
    }
    Ok(rows)
}

/// Which of the server's sessions is at work for one of ours changes from transaction to transaction, so
/// that a cancel by its number could hit somebody else's statement. Instead the connection to the pooler
/// is closed: the pooler then closes the server's session, and gives it to nobody. The server notices
/// that only when it has something to say; so what bears the transaction's name there is ended.
struct HangUp {
    asked: Notify,
    name: String,
    options: PgConnectOptions,
    translate: Translator,
}

impl HangUp {
    async fn end(&self) -> Result<(), DbError> {
        let mut connection = connect(&self.options, &self.translate).await?;
        let sql = format!(
            "select pg_terminate_backend(pid)::text from pg_stat_activity \
             where application_name = '{}' and datname = current_database()",
            self.name
        );
        raw(&mut connection, &sql, &self.translate).await.map(drop)
    }
}

#[async_trait]
impl Canceller for HangUp {
    async fn cancel(&self) -> Result<(), DbError> {
        self.asked.notify_one();
        let ended = self.end().await;
        // What was under way has heard of it by now; what comes next isn't meant.
        self.asked.notified().now_or_never();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_holds_for_one_transaction() {
        let dialect = Dialect::POSTGRES;
        let mut settings: Vec<String> =
            dialect.batch_settings().iter().map(|sql| (*sql).to_owned()).collect();
        settings.push(dialect.set_lock_timeout(std::time::Duration::from_secs(1)));
        settings.extend(dialect.set_statement_timeout(std::time::Duration::from_secs(1)));
        for sql in settings {
            assert!(local(&sql).starts_with("set local "), "{sql}");
        }
        assert_eq!(local(dialect.only_read()), "set transaction read only");
        let commit = local(dialect.commit_setting().unwrap());
        assert!(commit.contains("'off', true)"), "{commit}");
    }
}
