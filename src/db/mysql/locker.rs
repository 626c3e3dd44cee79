//! The run lock by `GET_LOCK`, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::MySqlConnection;

use super::{Server, session};
use crate::db::{DbError, ErrorKind, Locker, Statement, Value};

/// How long the server may take to answer before it counts as gone: a host that vanished says
/// nothing for minutes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct NamedLocker {
    server: Arc<Server>,
    connection: MySqlConnection,
    id: i64,
    held: bool,
    /// An answer didn't come in time.
    silent: bool,
}

impl NamedLocker {
    pub(super) async fn open(server: Arc<Server>) -> Result<Self, DbError> {
        let mut connection = server.connection().await?;
        let id = session::connection_id(&server, &mut connection).await?;
        Ok(NamedLocker { server, connection, id, held: false, silent: false })
    }

    /// The answer of a lock function, and a check that it came from the same connection: behind a
    /// pooler in transaction mode it may be any.
    async fn ask(&mut self, function: &str) -> Result<Option<i64>, DbError> {
        if self.silent {
            return Err(self.gone());
        }
        let sql = format!("select {function}, connection_id()");
        let name = vec![Value::from(self.server.lock_name.as_str())];
        let statement = Statement::new(sql, name);
        let asked = self.server.fetch(&mut self.connection, &statement);
        let rows = tokio::time::timeout(PATIENCE, asked).await;
        let rows = rows.map_err(|_| {
            // The driver waits for an answer that would be taken for the next one's.
            self.silent = true;
            self.gone()
        })??;
        let row = rows.first().ok_or_else(|| DbError::silent(function))?;
        if row.int(1)? != self.id {
            let mut error = DbError::new(
                ErrorKind::Pooler,
                "a pooler or proxy moves statements between connections, so no lock can be kept",
            );
            error.hint = Some("connect to the database server itself".to_owned());
            return Err(error);
        }
        row.optional_int(0)
    }

    fn gone(&self) -> DbError {
        let seconds = PATIENCE.as_secs();
        let message = format!("the server gave no answer about the run lock within {seconds} s");
        DbError::new(ErrorKind::Connection, message)
    }
}

#[async_trait]
impl Locker for NamedLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        // GET_LOCK counts: taken twice, it would have to be given back twice.
        if self.held {
            return self.still_held().await;
        }
        match self.ask("get_lock(?, 0)").await? {
            Some(got) => self.held = got == 1,
            None => {
                let message =
                    format!("GET_LOCK('{}', 0) failed on the server", self.server.lock_name);
                return Err(DbError::new(ErrorKind::Sql, message));
            }
        }
        Ok(self.held)
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        let held = self.ask("is_used_lock(?) <=> connection_id()").await?;
        self.held &= held == Some(1);
        Ok(self.held)
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        let released = self.ask("release_lock(?)").await?;
        self.held = false;
        Ok(released == Some(1))
    }
}
