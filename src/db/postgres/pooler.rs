//! Whether a pooler in transaction mode stands before the server.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use super::error::Translator;
use super::raw;
use super::session::connect;
use crate::db::{DbError, ErrorKind};

/// How long an answer may take that comes at once from a server, and never from a pooler without a
/// session to spare.
const PATIENCE: Duration = Duration::from_secs(10);

const WHICH: &str = "select pg_backend_pid()::text";

/// Two clients that share a server's session, or one whose session changes between two queries, prove
/// it; the time that an answer takes doesn't.
///
/// A pooler gives out the session that was used last (PgBouncer), the one that wasn't used for longest
/// (`server_round_robin`), or any. With one or two sessions idle in it, the second client gets that of
/// the first by its second question. With more of them, the first client gets another one than before,
/// while the second keeps one in its transaction: at its next question or, where the round has just come
/// to its own, at the one after that.
pub async fn is_there(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
    translate: &Translator,
) -> Result<bool, DbError> {
    let mut other = connect(options, translate).await?;
    let found = look(connection, &mut other, translate).await;
    // A pooler throws a session away whose client has left it in a transaction.
    timeout(PATIENCE, raw(&mut other, "rollback", translate)).await.ok();
    found
}

async fn look(
    connection: &mut PgConnection,
    other: &mut PgConnection,
    translate: &Translator,
) -> Result<bool, DbError> {
    let mine = which(connection, WHICH, translate).await?;
    for question in [WHICH, "begin; select pg_backend_pid()::text"] {
        if which(other, question, translate).await? == mine {
            return Ok(true);
        }
    }
    for _ in 0..2 {
        match timeout(PATIENCE, which(connection, WHICH, translate)).await {
            Ok(answer) => {
                if answer? != mine {
                    return Ok(true);
                }
            }
            // Who answers the other one, and not this one, has no session for it.
            Err(_) => {
                let end = raw(other, "rollback", translate);
                return match timeout(PATIENCE, end).await {
                    Ok(ended) => ended.map(|_| true),
                    Err(_) => Err(DbError::new(ErrorKind::Connection, "no answer")),
                };
            }
        }
    }
    Ok(false)
}

async fn which(
    connection: &mut PgConnection,
    question: &str,
    translate: &Translator,
) -> Result<String, DbError> {
    let rows = raw(connection, question, translate).await?;
    Ok(rows.into_iter().flatten().next().unwrap_or_default())
}
