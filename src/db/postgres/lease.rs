//! The run lock behind a pooler in transaction mode: a row with a heartbeat and an expiry.
//!
//! A run that reaches the server through such a pooler has no session of its own that could hold the
//! advisory lock. It holds a *lease*: the one row of `lockkeeper_lease`, with who holds it, a count of
//! its beats, and by the server's clock when it has last beaten and until when that is good. It beats
//! about once a second. Whoever wants the lock takes a lease that is over, by compare-and-swap.
//!
//! Each statement here is one transaction, sent in one message: a process that is stopped between two
//! messages holds nothing, and a pooler may send each to another session.
//!
//! # Lease and session lock exclude each other
//!
//! Runs with the session lock and runs with a lease may meet. The lock is the advisory lock K. Two rules:
//!
//! 1. A lease is taken, and prolonged, in a transaction that holds K (`pg_try_advisory_xact_lock`) until
//!    its commit.
//! 2. Who has got K for its session looks *after that* whether there is a lease, and gives K back where
//!    one is good, or was until just now.
//!
//! K is one at a time, and a commit can be seen before its locks are let go. So when S (session) and L
//! (lease) want the lock at one moment:
//!
//! - S gets K first: L gets no K, and so no lease, for as long as S has it.
//! - L gets K first: S gets no K until L's lease is committed, and then sees it.
//! - S gets K while L's lease is good: S sees it, and lets K go. If L wants to beat in this very moment,
//!   it can't, and has its lease all the same until it is over; the next beat is a second away.
//! - L is silent until its lease is over, and S gets K: L can't beat any more for as long as S has K, and
//!   finds its lease over. S removes the row, so that L finds none after S has gone, either. L's beat and
//!   S's look can't cross, since both happen under K.
//!
//! Two leases: both take it under K, and by the beat that they have seen.
//!
//! # Clocks
//!
//! Only the server's clock is read, but it may jump, and after a failover it is another one. Whoever finds
//! a lease that isn't good watches it for some time by a clock that can't be set ([`WATCHED`]), and
//! takes it only when it hasn't beaten once in all that time: a clock that jumps ahead takes no lease from
//! a run that is alive. One that beats in the future isn't good either: a clock that jumps back doesn't
//! keep a dead run's lease for hours.
//!
//! All this prevents; what guarantees is the fence. A run whose lease is taken while it is frozen finds
//! the epoch gone.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use super::error::Translator;
use super::locker::{PATIENCE, silent};
use super::raw;
use super::session::connect;
use crate::db::{DbError, Dialect, Locker, Session, Statement, TableName};

/// How long a lease is good after its last beat. A pooler that is restarted is back by then, and so is
/// most of the time a server after a failover; where it isn't, nobody else could take the lease either.
pub const LASTS: Duration = Duration::from_secs(30);
/// How long a lease that isn't good is watched before it is taken: some beats of a run that is alive.
const WATCHED: Duration = Duration::from_secs(3);
const TABLE: &str = "lockkeeper_lease";

/// A lease as it stands in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    holder: String,
    beat: String,
}

/// What stands in the way.
enum Found {
    /// No lease.
    Nothing,
    /// One that is good, or was until just now.
    Another(Seen),
    /// One that is over.
    Over(Seen),
}

/// Looks at the lease, and knows since when it hasn't beaten.
pub(super) struct Lookout {
    /// Quoted, with its schema.
    table: String,
    seen: Option<(Seen, Instant)>,
}

impl Lookout {
    pub(super) fn new(schema: &str) -> Self {
        Lookout { table: Dialect::POSTGRES.qualified(Some(schema), TABLE), seen: None }
    }

    /// Whether a lease stands in the way of who wants the session lock. Who has got it looks once more,
    /// and [clears away](Lookout::clear) what is over.
    pub(super) async fn sees_another(
        &mut self,
        connection: &mut PgConnection,
        translate: &Translator,
    ) -> Result<bool, DbError> {
        let found = self.look(connection, translate).await?;
        Ok(matches!(found, Found::Another(_)))
    }

    /// Removes a lease that is over. Where that isn't allowed it stays, and is watched by the next one.
    pub(super) async fn clear(&self, connection: &mut PgConnection, translate: &Translator) {
        if let Some((seen, _)) = &self.seen {
            let sql = format!("delete from {} where {}", self.table, seen.condition(""));
            raw(connection, &sql, translate).await.ok();
        }
    }

    async fn look(
        &mut self,
        connection: &mut PgConnection,
        translate: &Translator,
    ) -> Result<Found, DbError> {
        if !is_made(&self.table, connection, translate).await? {
            return Ok(Found::Nothing);
        }
        let sql =
            format!("select holder, beat::text, ({GOOD})::text from {} where id = 1", self.table);
        let rows = raw(connection, &sql, translate).await?;
        let Some([holder, beat, good]) = rows.first().and_then(|row| row.first_chunk()) else {
            self.seen = None;
            return Ok(Found::Nothing);
        };
        let seen = Seen { holder: holder.clone(), beat: beat.clone() };
        let since = match &self.seen {
            Some((before, since)) if *before == seen => *since,
            _ => Instant::now(),
        };
        self.seen = Some((seen.clone(), since));
        let is_over = good != "true" && since.elapsed() >= WATCHED;
        Ok(if is_over { Found::Over(seen) } else { Found::Another(seen) })
    }
}

impl Seen {
    /// The condition that it is still the same, of a table by this alias.
    fn condition(&self, alias: &str) -> String {
        // Both are our own words, hex digits and a number; somebody may have written there otherwise.
        let holder = self.holder.replace('\'', "''");
        let beat = self.beat.replace('\'', "");
        format!("{alias}id = 1 and {alias}holder = '{holder}' and {alias}beat = '{beat}'::bigint")
    }
}

/// Whether a lease is good by the server's clock.
const GOOD: &str = "clock_timestamp() between beat_at and expires_at";

async fn is_made(
    table: &str,
    connection: &mut PgConnection,
    translate: &Translator,
) -> Result<bool, DbError> {
    let table = table.replace('\'', "''");
    let sql = format!("select (to_regclass('{table}') is not null)::text");
    Ok(raw(connection, &sql, translate).await?.iter().flatten().any(|made| made == "true"))
}

/// Whether somebody has a lease that is good, for those who only look.
pub(super) async fn is_held(session: &mut dyn Session, schema: &str) -> Result<bool, DbError> {
    let name = TableName { schema: Some(schema.to_owned()), name: TABLE.to_owned() };
    if !session.has_table(&name).await? {
        return Ok(false);
    }
    let table = Dialect::POSTGRES.qualified(Some(schema), TABLE);
    let sql = format!("select 1 from {table} where id = 1 and {GOOD}");
    Ok(!session.query(&Statement::new(sql, Vec::new())).await?.is_empty())
}

/// The lease as a run lock.
pub struct Lease {
    connection: PgConnection,
    translate: Translator,
    key: i64,
    lookout: Lookout,
    /// Who wants it: the same for every connection of one process, which so knows its own again.
    holder: String,
    is_made: bool,
}

impl Lease {
    pub async fn open(
        options: &PgConnectOptions,
        translate: Translator,
        key: i64,
        schema: &str,
        holder: &str,
    ) -> Result<Self, DbError> {
        let connection = connect(options, &translate).await?;
        let (lookout, holder) = (Lookout::new(schema), holder.to_owned());
        Ok(Lease { connection, translate, key, lookout, holder, is_made: false })
    }

    async fn ask(&mut self, question: &str) -> Result<Vec<Vec<String>>, DbError> {
        let asked = raw(&mut self.connection, question, &self.translate);
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Makes the table. Of two who do so at one moment, one may be told that it is there already.
    async fn make(&mut self) -> Result<(), DbError> {
        let table = &self.lookout.table;
        if self.is_made || is_made(table, &mut self.connection, &self.translate).await? {
            self.is_made = true;
            return Ok(());
        }
        let sql = format!(
            "create table if not exists {table} (id int not null primary key, \
             holder text not null, beat bigint not null, beat_at timestamptz not null, \
             expires_at timestamptz not null)"
        );
        let made = self.ask(&sql).await;
        let table = &self.lookout.table;
        self.is_made = is_made(table, &mut self.connection, &self.translate).await?;
        if self.is_made { Ok(()) } else { made.map(drop) }
    }

    /// `with k as (…)`: whether K is free, and ours until the commit.
    fn with_key(&self) -> String {
        format!("with k as (select pg_try_advisory_xact_lock({}) as is_free)", self.key)
    }

    /// Prolongs our own.
    async fn beat(&mut self) -> Result<bool, DbError> {
        let sql = format!(
            "{} update {} as l set beat = l.beat + 1, beat_at = clock_timestamp(), \
             expires_at = clock_timestamp() + interval '{} s' \
             from k where k.is_free and l.id = 1 and l.holder = '{}' returning 'beaten'",
            self.with_key(),
            self.lookout.table,
            LASTS.as_secs(),
            self.holder
        );
        Ok(!self.ask(&sql).await?.is_empty())
    }

    /// Takes it where there is none, or this one still stands.
    async fn take(&mut self, over: Option<&Seen>) -> Result<bool, DbError> {
        let sql = format!(
            "{} insert into {} as l (id, holder, beat, beat_at, expires_at) \
             select 1, '{}', 1, clock_timestamp(), clock_timestamp() + interval '{} s' \
             from k where k.is_free \
             on conflict (id) do update set holder = excluded.holder, beat = l.beat + 1, \
             beat_at = excluded.beat_at, expires_at = excluded.expires_at \
             where {} returning 'taken'",
            self.with_key(),
            self.lookout.table,
            self.holder,
            LASTS.as_secs(),
            over.map_or("false".to_owned(), |seen| seen.condition("l."))
        );
        Ok(!self.ask(&sql).await?.is_empty())
    }

    /// K is tried for only where there is something to take: who waits is not to keep the holder from
    /// beating.
    async fn try_to_take(&mut self) -> Result<bool, DbError> {
        self.make().await?;
        match self.lookout.look(&mut self.connection, &self.translate).await? {
            Found::Nothing => self.take(None).await,
            // After a cut it is still there.
            Found::Another(seen) | Found::Over(seen) if seen.holder == self.holder => {
                self.beat().await
            }
            Found::Over(seen) => self.take(Some(&seen)).await,
            Found::Another(_) => Ok(false),
        }
    }
}

#[async_trait]
impl Locker for Lease {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        match timeout(PATIENCE, self.try_to_take()).await.unwrap_or_else(|_| Err(silent())) {
            // Somebody was faster, where the user's transactions are stricter than usual.
            Err(error) if error.is_transient() => Ok(false),
            tried => tried,
        }
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        if self.beat().await? {
            return Ok(true);
        }
        // Somebody looks for the session lock at this moment, or has it.
        let sql = format!(
            "select 'held' from {} where id = 1 and holder = '{}' and {GOOD}",
            self.lookout.table, self.holder
        );
        Ok(!self.ask(&sql).await?.is_empty())
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        let sql = format!(
            "delete from {} where id = 1 and holder = '{}' returning 'given back'",
            self.lookout.table, self.holder
        );
        Ok(!self.ask(&sql).await?.is_empty())
    }
}
