//! Whether a pooler in transaction mode stands before the server.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use super::error::Translator;
use super::locker::{PATIENCE, silent};
use super::raw;
use super::session::connect;
use crate::db::DbError;

/// How long the server may take to end a session whose client is gone. It is a matter of milliseconds; who
/// waits in vain only looks closer.
const FAREWELL: Duration = Duration::from_millis(300);
/// How often it is looked who gets which session. Others who come and go at the same time may hide it
/// from one look, though from hardly one in ten.
const LOOKS: usize = 12;
/// How often where both sessions ended. A pooler hangs up on both only where many others come and go, and
/// there a few looks see sessions change hands.
const LOOKS_AFTER_THE_END: usize = 3;

const WHICH: &str = "select pg_backend_pid()::text";

/// A server's session that outlives its client is some pooler's. (It may also end behind one, where somebody
/// else gets it and hangs up on it: so there are two.) Behind one in session mode each client has a session
/// for itself, and that is as good as none. Two clients that share one, or a client whose session changes
/// from one query to the next, prove the other mode; the time that an answer takes proves nothing.
pub async fn is_there(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
    translate: &Translator,
) -> Result<bool, DbError> {
    let mine = which(connection, WHICH, translate).await?;
    let passing = async || {
        let mut other = connect(options, translate).await?;
        let theirs = which(&mut other, WHICH, translate).await?;
        Ok::<_, DbError>((other, theirs))
    };
    let ((one, first), (two, second)) = tokio::try_join!(passing(), passing())?;
    if first == mine || second == mine || first == second {
        return Ok(true);
    }
    for other in [one, two] {
        // Whether the server hears of it or not, it is gone.
        other.close().await.ok();
    }
    let looks = match end(connection, [&first, &second], translate).await? {
        true => LOOKS_AFTER_THE_END,
        false => LOOKS,
    };
    let mut other = connect(options, translate).await?;
    for _ in 0..looks {
        if share(connection, &mut other, &mine, translate).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether these sessions of the server's end, now that their clients have gone.
async fn end(
    connection: &mut PgConnection,
    [first, second]: [&str; 2],
    translate: &Translator,
) -> Result<bool, DbError> {
    // Numbers, as the server has printed them.
    let here = format!(
        "select pid::text from pg_stat_activity where pid::text in ('{first}', '{second}')"
    );
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    while started.elapsed() < FAREWELL {
        if which(connection, &here, translate).await?.is_empty() {
            return Ok(true);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(false)
}

/// One look: while the other one has a transaction open, a pooler has either given it the session that
/// was ours, or ours is to be had for it at another time, or it has to give us another.
async fn share(
    connection: &mut PgConnection,
    other: &mut PgConnection,
    mine: &str,
    translate: &Translator,
) -> Result<bool, DbError> {
    let held = which(other, "begin; select pg_backend_pid()::text", translate).await?;
    let asked = timeout(PATIENCE, raw(connection, WHICH, translate)).await;
    which(other, "rollback", translate).await?;
    let Ok(now) = asked else {
        // Who answers the other one and not this one has no session for it.
        return Ok(true);
    };
    let is_same = now?.iter().flatten().eq([mine]);
    Ok(!is_same || held == mine || which(other, WHICH, translate).await? == mine)
}

/// The first value of the answer; nothing where there is none.
async fn which(
    connection: &mut PgConnection,
    question: &str,
    translate: &Translator,
) -> Result<String, DbError> {
    let asked = raw(connection, question, translate);
    let rows = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))?;
    Ok(rows.into_iter().flatten().next().unwrap_or_default())
}
