//! Work sessions that outlived their process.
//!
//! The server notices that a client is gone only when the statement ends, which may take an hour.
//! MySQL shows no application name, so that each Work session holds a named lock of its own beside
//! the run lock, `<run lock>.work.<n>`. A successor that holds the run lock asks who holds these:
//! whoever does, and isn't of its own run, is a remnant. By a second name, with the run's in it, one run's are
//! told from another's. The server gives the name back only after
//! it has rolled back, so that waiting for the names is waiting for the rollback as well.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::{Server, error};
use crate::db::{DbError, ErrorKind, Row, Statement, Value};

/// Work sessions under one run lock, at most.
const NAMES: usize = 64;

fn name(server: &Server, number: usize) -> String {
    format!("{}.work.{number}", server.lock_name)
}

/// The run's own beside it. What isn't one of our ids may be too long for a lock's name.
fn name_of_run(run: &str, number: usize) -> String {
    let hash = Sha256::digest(run.as_bytes());
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("lockkeeper run {digits} {number}")
}

/// Marks the session behind `connection`, by the first name that is free.
pub(super) async fn mark(
    server: &Server,
    connection: &mut MySqlConnection,
    id: i64,
    run: &str,
) -> Result<(), DbError> {
    for number in 0..NAMES {
        let name = Value::from(name(server, number));
        let statement = Statement::new("select get_lock(?, 0), connection_id()", vec![name]);
        let rows = server.fetch(connection, &statement).await?;
        let row = rows.first().ok_or_else(|| DbError::silent("select get_lock"))?;
        if row.int(1)? != id {
            let message = "a pooler or proxy moves statements between connections";
            return Err(DbError::new(ErrorKind::Pooler, message));
        }
        if row.optional_int(0)? == Some(1) {
            let own = vec![Value::from(name_of_run(run, number))];
            let own = Statement::new("select get_lock(?, 0)", own);
            return server.fetch(connection, &own).await.map(drop);
        }
    }
    Err(DbError::new(ErrorKind::Sql, format!("all {NAMES} names of working sessions are in use")))
}

/// Ends the remnants, and waits until they are gone.
pub(super) async fn end(server: &Server, run: &str) -> Result<u64, DbError> {
    let mut connection = server.connection().await?;
    let mut ended = Vec::new();
    let mut pause = Duration::from_millis(10);
    loop {
        let remnants = remnants(server, &mut connection, run).await?;
        if remnants.is_empty() {
            return Ok(ended.len() as u64);
        }
        for id in remnants {
            if ended.contains(&id) {
                continue;
            }
            kill(server, &mut connection, id).await?;
            ended.push(id);
        }
        // A rollback takes as long as the work did.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// Ends the sessions of one run under this lock.
pub(super) async fn end_those_of(server: &Server, run: &str) -> Result<(), DbError> {
    let mut connection = server.connection().await?;
    let columns = vec!["is_used_lock(?), is_used_lock(?)"; NAMES].join(", ");
    let names = (0..NAMES).flat_map(|number| [name(server, number), name_of_run(run, number)]);
    let holders = Statement::new(format!("select {columns}"), names.map(Value::from).collect());
    let rows = server.fetch(&mut connection, &holders).await?;
    let row = rows.first().ok_or_else(|| DbError::silent("select is_used_lock"))?;
    for number in 0..NAMES {
        let (under_lock, of_run) =
            (row.optional_int(2 * number)?, row.optional_int(2 * number + 1)?);
        // The run's name alone could be one's that works on another database.
        if let Some(id) = of_run.filter(|_| of_run == under_lock) {
            kill(server, &mut connection, id).await?;
        }
    }
    Ok(())
}

async fn remnants(
    server: &Server,
    connection: &mut MySqlConnection,
    run: &str,
) -> Result<Vec<i64>, DbError> {
    let marked = marked(&server.fetch(connection, &holders(server)).await?)?;
    let open = server.open();
    Ok(marked.into_iter().filter(|id| open.get(id).is_none_or(|its| its != run)).collect())
}

/// The query for who holds the names, which [`marked`] reads.
pub(super) fn holders(server: &Server) -> Statement {
    let columns = vec!["is_used_lock(?)"; NAMES].join(", ");
    let names = (0..NAMES).map(|number| Value::from(name(server, number))).collect();
    Statement::new(format!("select {columns}"), names)
}

/// The sessions that are marked.
pub(super) fn marked(rows: &[Row]) -> Result<Vec<i64>, DbError> {
    let row = rows.first().ok_or_else(|| DbError::silent("select is_used_lock"))?;
    let ids = (0..NAMES).map(|number| row.optional_int(number));
    ids.filter_map(Result::transpose).collect()
}

async fn kill(server: &Server, connection: &mut MySqlConnection, id: i64) -> Result<(), DbError> {
    let sql = format!("KILL {id}");
    let killed = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
    match killed.map_err(|error| server.error(error, &sql)) {
        Err(error) if error.code.as_deref() != Some(error::NO_SUCH_THREAD) => Err(error),
        _ => Ok(()),
    }
}
