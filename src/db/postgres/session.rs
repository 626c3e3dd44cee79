//! A session on PostgreSQL.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgRow, PgTypeInfo,
};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column as _, Connection as _, Postgres, Row as _, TypeInfo as _};
use tokio_stream::StreamExt;

use super::error::Translator;
use super::{limits, open, plain, reading, table};
use crate::db::{
    Canceller, Column, DbError, ErrorKind, Reading, Row, Session, Shape, Statement, Table,
    TableName, Value,
};

pub struct PostgresSession {
    connection: PgConnection,
    translate: Translator,
    canceller: Arc<PostgresCanceller>,
    /// A transaction was begun, and its end not seen: the caller dropped the future.
    open: bool,
    /// It does without the run lock, and so may well be behind a pooler: it leaves nothing in the
    /// server's session.
    plain: bool,
}

impl PostgresSession {
    /// Of a connection to the backend with this process id.
    pub fn new(
        connection: PgConnection,
        pid: i32,
        options: PgConnectOptions,
        translate: Translator,
        plain: bool,
    ) -> Self {
        let canceller = PostgresCanceller { pid, options, translate: translate.clone() };
        PostgresSession { connection, translate, canceller: canceller.into(), open: false, plain }
    }

    async fn control(&mut self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.connection).await.map(|_| ())
    }

    /// Ends what a dropped future left open; the next commit would commit it too.
    async fn close_abandoned(&mut self) -> Result<(), DbError> {
        if self.open {
            self.control("rollback").await.map_err(|error| self.translate.translate(error))?;
            self.open = false;
        }
        Ok(())
    }

    async fn run(&mut self, statement: &Statement) -> Result<u64, DbError> {
        // Behind a pooler what one prepares is found by the next one under the same name.
        let plain = match statement.shape {
            Shape::Prepared if self.plain => plain::inlined(statement),
            _ => None,
        };
        let done = match (plain, statement.shape) {
            (Some(text), _) => {
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.connection).await
            }
            (None, Shape::Prepared) => prepare(statement).execute(&mut self.connection).await,
            (None, Shape::Script) => {
                sqlx::raw_sql(AssertSqlSafe(statement.sql.clone()))
                    .execute(&mut self.connection)
                    .await
            }
        };
        done.map(|done| done.rows_affected()).map_err(|error| self.translate.translate(error))
    }

    async fn run_all(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let mut counts = Vec::with_capacity(statements.len());
        let began = Instant::now();
        for (index, statement) in statements.iter().enumerate() {
            let rows =
                self.run(&statement.in_list(began)).await.map_err(|error| error.at(index))?;
            if statement.must_affect.is_some_and(|wanted| wanted != rows) {
                let message = format!("another run moved it: {rows} rows instead of 1");
                return Err(DbError::new(ErrorKind::Fenced, message).at(index));
            }
            counts.push(rows);
        }
        Ok(counts)
    }
}

#[async_trait]
impl Session for PostgresSession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.close_abandoned().await?;
        // Row by row: the driver's own rows are several times the size of ours.
        let plain = if self.plain { plain::inlined(statement) } else { None };
        let mut stream = match plain {
            Some(text) => sqlx::raw_sql(AssertSqlSafe(text)).fetch(&mut self.connection),
            None => prepare(statement).fetch(&mut self.connection),
        };
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await {
            let row = row.map_err(|error| self.translate.translate(error))?;
            rows.push(decode(&row, &self.translate)?);
        }
        Ok(rows)
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        self.close_abandoned().await?;
        self.open = true;
        let begun = self.control(format!("begin{}", limits::set(statements))).await;
        begun.map_err(|error| self.translate.translate(error))?;
        let done = match self.run_all(statements).await {
            Ok(counts) => {
                let ended = self.control("commit").await;
                ended.map(|()| counts).map_err(|error| self.translate.committing(error))
            }
            failed => failed,
        };
        // Where a limit strikes before the commit has begun, the transaction is open yet. Where the
        // connection is gone, the server rolls back by itself.
        self.open = match &done {
            Err(error) if !error.is_lost() => self.control("rollback").await.is_err(),
            _ => false,
        };
        done
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.close_abandoned().await?;
        self.run(&Statement::script(sql)).await
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

/// Connects without a name of its own for `pg_stat_activity`: a pooler hands it on with the server's
/// session, to whoever has none.
pub(super) async fn connect(
    options: &PgConnectOptions,
    translate: &Translator,
) -> Result<PgConnection, DbError> {
    PgConnection::connect_with(options).await.map_err(|error| translate.translate(error))
}

fn prepare(statement: &Statement) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone()))
        // What was prepared with an untyped NULL may be of a type that no integer of ours fits.
        .persistent(!statement.params.contains(&Value::Null));
    for value in &statement.params {
        query = match value {
            Value::Null => query.bind(Untyped),
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
        };
    }
    query
}

/// NULL of whatever type the server makes of its place.
struct Untyped;

impl sqlx::Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl sqlx::Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, sqlx::error::BoxDynError> {
        Ok(IsNull::Yes)
    }
}

pub(super) fn decode(row: &PgRow, translate: &Translator) -> Result<Row, DbError> {
    let value = |(index, column): (usize, &sqlx::postgres::PgColumn)| {
        let value = match column.type_info().name() {
            "BOOL" => {
                row.try_get::<Option<bool>, _>(index).map(|value| value.map(i64::from).into())
            }
            "INT2" => row.try_get::<Option<i16>, _>(index).map(|value| value.map(i64::from).into()),
            "INT4" => row.try_get::<Option<i32>, _>(index).map(|value| value.map(i64::from).into()),
            "INT8" => row.try_get::<Option<i64>, _>(index).map(Value::from),
            "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "UNKNOWN" => {
                // What it is was asked just now; the driver would ask again for each value.
                row.try_get_unchecked::<Option<String>, _>(index).map(Value::from)
            }
            other => {
                return Err(DbError::new(
                    ErrorKind::Type,
                    format!("column {} is of type {other}: cast it to text", column.name()),
                ));
            }
        };
        value.map_err(|error| translate.translate(error))
    };
    row.columns().iter().enumerate().map(value).collect::<Result<_, _>>().map(Row)
}

struct PostgresCanceller {
    pid: i32,
    options: PgConnectOptions,
    translate: Translator,
}

#[async_trait]
impl Canceller for PostgresCanceller {
    async fn cancel(&self) -> Result<(), DbError> {
        let mut connection = open(&self.options, "lockkeeper", &self.translate).await?;
        sqlx::query("select pg_cancel_backend($1)")
            .bind(self.pid)
            .execute(&mut connection)
            .await
            .map_err(|error| self.translate.translate(error))?;
        Ok(())
    }
}
