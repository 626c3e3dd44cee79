//! How far replicas are behind, as a PostgreSQL primary sees them.
//!
//! What `pg_stat_replication` calls `replay_lag` is the past: it says how long ago was written what is
//! replayed now. When it passes the limit, all is lost already that was written since. What counts
//! here is how long what is written now will take to be seen on the replica: the bytes in between, at
//! the speed at which it has been replaying. (The way that the server itself measures, by time, is in
//! src/backend/replication/walsender.c, `LagTrackerRead`.)

mod follower;
mod replica;
mod timeline;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::db::{DbError, Session, Statement};

use super::signal::Notice;
use super::{Governor, Line, Reading, Signal, SignalError, Unit};
pub use follower::Follower;
use replica::Replica;
use timeline::Timeline;

const INTERVAL: Duration = Duration::from_millis(200);
/// A replica that was there and isn't any more may still be asked by readers: for so long it counts
/// as one that stands still.
const GONE: Duration = Duration::from_secs(60);
/// How long the answer to a knock takes on the way.
const WAY: Duration = Duration::from_millis(20);
/// At so many limits the work stands still.
const CRITICAL: f64 = 1.5;

/// Replicas, but those of logical replication, which confirm when they please; and no backups. Of
/// what this user may not see, the state is NULL.
const REPLICAS: &str = "select r.pid::text, \
    case when r.application_name in ('', 'walreceiver') then coalesce(host(r.client_addr), 'a replica') \
         else r.application_name end, \
    r.state, pg_wal_lsn_diff(r.replay_lsn, '0/0')::bigint, \
    (extract(epoch from r.replay_lag) * 1000)::bigint, pg_wal_lsn_diff(r.flush_lsn, '0/0')::bigint \
    from pg_stat_replication r where r.state is distinct from 'backup' and not exists \
    (select 1 from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')";
/// Where the log is, and which one it is: a segment's name begins with the number of its timeline.
const POSITION: &str = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, \
                        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
/// A standby reports what it has replayed when it has flushed what it got, and else only every ten
/// seconds (`wal_receiver_status_interval`): without this, written to be answered, a reading would
/// tell of the moment before the last write.
const KNOCK: &str = "begin; set local synchronous_commit = local; \
                     select pg_logical_emit_message(true, 'lockkeeper', ''); commit";

/// Aurora's replicas read the same storage, and have a function of their own.
const IS_AURORA: &str = "select (to_regproc('aurora_replica_status') is not null)::int";
const AURORA: &str = "select server_id::text, round(replica_lag_in_msec)::bigint \
                      from aurora_replica_status() where session_id <> 'MASTER_SESSION_ID'";

/// What follows where there are replicas that this user may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// The work is held: somebody has asked for a limit, and this would be no way out of it.
    Holds,
    /// They are left out, and that is told.
    Told,
    /// They are left out: those that matter are asked themselves.
    Fine,
}

/// The lag of PostgreSQL's replicas.
pub struct ReplicaLag {
    limit: Duration,
    unseen: Unseen,
    /// There are some that can't be seen, and are left out.
    left_out: bool,
    aurora: Option<bool>,
    /// The server lets us knock.
    knocks: bool,
    timeline: Timeline,
    replicas: BTreeMap<String, Replica>,
}

impl ReplicaLag {
    /// With a limit that somebody has asked for, or ours.
    pub fn new(limit: Duration, unseen: Unseen) -> Self {
        ReplicaLag {
            limit,
            unseen,
            left_out: false,
            aurora: None,
            knocks: true,
            timeline: Timeline::default(),
            replicas: BTreeMap::new(),
        }
    }

    async fn aurora(&self, session: &mut dyn Session) -> Result<Option<Reading>, SignalError> {
        let rows = session.query(&Statement::new(AURORA, Vec::new())).await?;
        let mut worst = None;
        for row in &rows {
            let name = row.text(0)?;
            match row.optional_int(1)? {
                Some(lag) => worst = later(worst, (name.to_owned(), lag.max(0) as f64 / 1000.0)),
                // It isn't known to be at 0. Where nobody has asked, it isn't watched.
                None if self.unseen == Unseen::Holds => {
                    return Err(SignalError::Other(format!("{name} says nothing of its lag")));
                }
                None => {}
            }
        }
        Ok(worst.map(|worst| self.reading(worst)))
    }

    async fn standbys(
        &mut self,
        session: &mut dyn Session,
    ) -> Result<Option<Reading>, SignalError> {
        if !self.replicas.is_empty() && self.knocks {
            self.knock(session).await?;
        }
        let rows = session.query(&Statement::new(REPLICAS, Vec::new())).await?;
        if rows.iter().any(|row| row.optional_text(2).is_ok_and(|state| state.is_none())) {
            match self.unseen {
                Unseen::Holds => {
                    return Err(SignalError::Other(
                        "this user may not see replicas: GRANT pg_monitor to it".into(),
                    ));
                }
                Unseen::Told => self.left_out = true,
                Unseen::Fine => {}
            }
        }
        if rows.is_empty() && self.replicas.is_empty() {
            return Ok(None);
        }
        let found = session.query(&Statement::new(POSITION, Vec::new())).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let (position, branch) = (row.int(0)?, row.text(1)?);
        let now = Instant::now();
        if !self.timeline.leads_to(branch, position) {
            // Another server is the primary now. Of its replicas nothing is known yet, and one that
            // isn't there any more may be itself.
            self.timeline = Timeline::of(branch);
            self.replicas.clear();
        }
        self.timeline.push(now, position);
        for row in &rows {
            // One that only receives has replayed nothing, ever.
            let Some(replayed) = row.optional_int(3)? else { continue };
            let name = row.text(1)?;
            let told = row.optional_int(4)?.unwrap_or(0).max(0);
            let told = Duration::from_millis(told.unsigned_abs());
            let replica = self
                .replicas
                .entry(format!("{} {name}", row.text(0)?))
                .or_insert_with(|| Replica::new(name, told));
            replica.seen(now, replayed, row.optional_int(5)?.unwrap_or(replayed));
        }
        self.replicas.retain(|_, replica| replica.absence(now) < GONE);
        let present: Vec<_> = self
            .replicas
            .values()
            .filter(|replica| replica.absence(now).is_zero())
            .map(|replica| replica.name().to_owned())
            .collect();
        // It has come back, with another connection.
        self.replicas.retain(|_, replica| {
            replica.absence(now).is_zero() || !present.iter().any(|name| name == replica.name())
        });
        let timeline = &self.timeline;
        let lags = self
            .replicas
            .values()
            .map(|replica| (replica.name().to_owned(), replica.lag(now, timeline).as_secs_f64()));
        Ok(lags.fold(None, later).map(|worst| self.reading(worst)))
    }

    /// Where nobody has asked for a limit, a server that doesn't take it is no error: readings are then
    /// as old as the replicas' own reports.
    async fn knock(&mut self, session: &mut dyn Session) -> Result<(), DbError> {
        match session.bare(KNOCK).await {
            Ok(_) => tokio::time::sleep(WAY).await,
            Err(error) if self.unseen == Unseen::Holds || error.is_lost() => return Err(error),
            Err(_) => {
                self.knocks = false;
                // It may have failed in the middle of its transaction.
                session.bare("rollback").await?;
            }
        }
        Ok(())
    }

    fn reading(&self, (name, value): (String, f64)) -> Reading {
        let limit = self.limit.as_secs_f64();
        let (critical, unit) = (CRITICAL * limit, Unit::Seconds);
        Reading { value, limit, critical, unit, subject: Some(name) }
    }
}

fn later(worst: Option<(String, f64)>, other: (String, f64)) -> Option<(String, f64)> {
    match worst {
        Some(worst) if worst.1 >= other.1 => Some(worst),
        _ => Some(other),
    }
}

#[async_trait]
impl Signal for ReplicaLag {
    fn name(&self) -> &'static str {
        "replica-lag"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn governor(&self) -> Governor {
        Governor::of_backlog(self.limit)
    }

    fn left_out_by(&self) -> Option<&'static str> {
        Some("--max-lag off")
    }

    fn notice(&self) -> Option<Notice> {
        self.left_out.then_some(Notice {
            message: "this server has replicas, whose lag isn't watched, as this user may not see it",
            next: "GRANT pg_monitor to it, or give --replica-url, once for each of them, or \
                   `--max-lag off` if that is meant",
        })
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        if self.aurora.is_none() {
            let rows = session.query(&Statement::new(IS_AURORA, Vec::new())).await?;
            self.aurora = Some(rows.first().map_or(Ok(0), |row| row.int(0))? != 0);
        }
        match self.aurora {
            Some(true) => self.aurora(session).await,
            _ => self.standbys(session).await,
        }
    }
}

#[cfg(test)]
mod tests;
