//! The run lock by `GET_LOCK`, on a connection of its own.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::mysql::MySqlConnection;

use super::{Server, session};
use crate::db::{DbError, ErrorKind, Locker, Statement, Value};

pub(super) struct NamedLocker {
    server: Arc<Server>,
    connection: MySqlConnection,
    id: i64,
    held: bool,
}

impl NamedLocker {
    pub(super) async fn open(server: Arc<Server>) -> Result<Self, DbError> {
        let mut connection = server.connection().await?;
        let id = session::connection_id(&server, &mut connection).await?;
        Ok(NamedLocker { server, connection, id, held: false })
    }

    /// The answer of a lock function, and a check that it came from the same connection: behind a
    /// pooler in transaction mode it may be any.
    async fn ask(&mut self, function: &str, names: usize) -> Result<Option<i64>, DbError> {
        let sql = format!("select {function}, connection_id()");
        let names = vec![Value::from(self.server.lock_name.as_str()); names];
        let rows = self.server.fetch(&mut self.connection, &Statement::new(sql, names)).await?;
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
}

#[async_trait]
impl Locker for NamedLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        // GET_LOCK counts: taken twice, it would have to be given back twice.
        if self.held {
            return self.still_held().await;
        }
        match self.ask("get_lock(?, 0)", 1).await? {
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
        let held = self.ask("is_used_lock(?) <=> connection_id()", 1).await?;
        self.held &= held == Some(1);
        Ok(self.held)
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        let released = self.ask("release_lock(?)", 1).await?;
        self.held = false;
        Ok(released == Some(1))
    }
}
