//! How far a replica is behind, as it says itself.
//!
//! Nobody has to be allowed to see anything: a replica is asked how far it is, the primary where it is
//! now, and how old that is tells what the watch has seen of the primary itself. So it needs no clock
//! but its own, and nobody's opinion of when a replica is late: MySQL's `Seconds_Behind_Source` says
//! nothing of what hasn't reached the replica yet, and takes a right.
//!
//! On PostgreSQL the position is one in the log. On MySQL and MariaDB it is how far the backfill at work
//! is by its checkpoint, which comes to the replica with the rows of its batch: binary logs have no
//! position that means the same on both servers everywhere, and no other lag would be as much ours.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::db::{ConnectOptions, DbError, Engine, ErrorKind, Row, Session, Statement};
use crate::ledger::{Ledger, LedgerError, Passed};
use crate::throttle::line::within;
use crate::throttle::{Governor, Line, Reading, Signal, SignalError, Site, Unit, Work};

use super::CRITICAL;
use super::replica::Replica;
use super::timeline::Timeline;

const INTERVAL: Duration = Duration::from_millis(200);
/// How long the replica's answer is waited for: less than the watch waits for the whole.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Where a replica is that has nothing of what is written now.
const NOWHERE: i64 = -1;

/// A replica of its primary has the primary's identifier, and is in recovery.
const OF_REPLICA: &str = "select pg_is_in_recovery()::int, \
    (select system_identifier::text from pg_control_system()), \
    pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint, \
    pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint";
const OF_PRIMARY: &str = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, \
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), \
    (select system_identifier::text from pg_control_system())";
/// Which server it is, on MySQL and MariaDB.
const SERVER: &str = "select concat(@@server_id, ' ', @@hostname, ' ', @@port)";

/// The lag of one replica.
pub struct Follower {
    limit: Duration,
    engine: Engine,
    place: String,
    site: Site,
    replica: Line,
    /// What the positions are in: the log's timeline, or the run and the step.
    timeline: Timeline,
    known: Replica,
}

/// What a replica says of itself.
struct Said {
    /// Which server it is, or whose log it has.
    server: String,
    /// How far it is.
    at: At,
}

enum At {
    /// In the log: what it has replayed, and received.
    Log(i64, i64),
    /// In the backfill at work, if it has any run at all.
    Backfill(Option<Passed>),
}

impl Follower {
    /// Of the replica that is reached by these options.
    pub fn new(limit: Duration, options: &ConnectOptions, site: &Site) -> Self {
        Follower {
            limit,
            engine: options.engine,
            place: options.place(),
            site: site.clone(),
            replica: Line::to(options),
            timeline: Timeline::default(),
            known: Replica::new(&options.place(), Duration::ZERO),
        }
    }

    fn fault(&self, what: &str) -> SignalError {
        SignalError::Other(format!("{} {what}", self.place))
    }

    /// Asks the replica. Whatever fails is said with its place, and without its words.
    async fn ask(&mut self, ledger: &Ledger, work: &Work) -> Result<Said, SignalError> {
        let (engine, replica) = (self.engine, &mut self.replica);
        let asking = async {
            let session = replica.session().await?;
            match engine {
                Engine::Postgres => of_log(session).await,
                _ => of_backfill(session, ledger, work).await.map(Ok),
            }
        };
        match within(ANSWER, asking).await {
            Ok(Ok(Ok(said))) => Ok(said),
            Ok(Ok(Err(what))) => Err(self.fault(what)),
            Ok(Err(error)) => {
                self.replica.hang_up();
                Err(self.fault(&format!("can't be asked: {}", error.outline())))
            }
            // What it is asked takes no time: whatever does, a cancel would as well.
            Err(_) => {
                self.replica.hang_up();
                Err(self.fault("gives no answer"))
            }
        }
    }

    async fn of_log(
        &mut self,
        primary: &mut dyn Session,
        server: &str,
        (replayed, received): (i64, i64),
    ) -> Result<Option<Reading>, SignalError> {
        let rows = primary.query(&Statement::new(OF_PRIMARY, Vec::new())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.text(2)? != server {
            return Err(self.fault("is no replica of this database: it has another server's log"));
        }
        Ok(Some(self.seen(row.text(1)?, row.int(0)?, replayed, received)))
    }

    async fn of_backfill(
        &mut self,
        primary: &mut dyn Session,
        ledger: &Ledger,
        work: &Work,
        (server, there): (&str, Option<Passed>),
    ) -> Result<Option<Reading>, SignalError> {
        let rows = primary.query(&Statement::new(SERVER, Vec::new())).await?;
        if rows.first().map(|row| row.text(0)).transpose()? == Some(server) {
            return Err(self.fault("is this database itself, and no replica of it"));
        }
        let passed = match ledger.passed(primary, work.version, work.step).await {
            Ok(passed) => passed,
            Err(LedgerError::Db(error)) => return Err(error.into()),
            Err(error) => return Err(SignalError::Other(error.outline())),
        };
        // Where nothing is open, nobody goes by it.
        let Some(Passed { run, keys: Some(position) }) = passed else { return Ok(None) };
        let there = there.filter(|there| there.run == run);
        let replayed = there.as_ref().and_then(|there| there.keys).unwrap_or(NOWHERE);
        let branch = format!("{run} {} {}", work.version, work.step);
        let mut reading = self.seen(&branch, position, replayed, position);
        // Another database would be waited for in vain: who waits is to know.
        if there.is_none() {
            reading.subject = Some(format!("{}, which has nothing of this run yet", self.place));
        }
        Ok(Some(reading))
    }

    /// The primary is at this position, and the replica, asked before, at that one.
    fn seen(&mut self, branch: &str, position: i64, replayed: i64, received: i64) -> Reading {
        let now = Instant::now();
        if !self.timeline.leads_to(branch, position) {
            self.timeline = Timeline::of(branch);
            self.known = Replica::new(&self.place, Duration::ZERO);
        }
        self.timeline.push(now, position);
        self.known.seen(now, replayed, received.min(position));
        let (value, limit) =
            (self.known.lag(now, &self.timeline).as_secs_f64(), self.limit.as_secs_f64());
        let (critical, unit) = (CRITICAL * limit, Unit::Seconds);
        Reading { value, limit, critical, unit, subject: Some(self.place.clone()) }
    }
}

/// What a PostgreSQL says of itself, or why it is no replica.
async fn of_log(session: &mut dyn Session) -> Result<Result<Said, &'static str>, DbError> {
    let rows = session.query(&Statement::new(OF_REPLICA, Vec::new())).await?;
    let silent = || DbError::new(ErrorKind::Sql, "no answer");
    let row: &Row = rows.first().ok_or_else(silent)?;
    if row.int(0)? == 0 {
        return Ok(Err("is no replica: it isn't in recovery"));
    }
    let Some(replayed) = row.optional_int(2)? else {
        return Ok(Err("doesn't say how far it is"));
    };
    // What it restores from the archive, it doesn't receive.
    let received = row.optional_int(3)?.unwrap_or(replayed).max(replayed);
    Ok(Ok(Said { server: row.text(1)?.to_owned(), at: At::Log(replayed, received) }))
}

async fn of_backfill(
    session: &mut dyn Session,
    ledger: &Ledger,
    work: &Work,
) -> Result<Said, DbError> {
    let rows = session.query(&Statement::new(SERVER, Vec::new())).await?;
    let server = rows.first().map(|row| row.text(0)).transpose()?.unwrap_or_default().to_owned();
    let passed = match ledger.passed(session, work.version, work.step).await {
        Ok(passed) => passed,
        // The tables haven't come to it yet.
        Err(LedgerError::Damaged { .. } | LedgerError::Newer { .. }) => None,
        Err(LedgerError::Db(error)) => return Err(error),
    };
    Ok(Said { server, at: At::Backfill(passed) })
}

#[async_trait]
impl Signal for Follower {
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

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let Some(work) = self.site.work() else { return Ok(None) };
        let ledger = Ledger::of(line.database().await?.as_ref());
        // The replica first: what it has, the primary has had.
        let Said { server, at } = self.ask(&ledger, &work).await?;
        let primary = line.session().await?;
        match at {
            At::Log(replayed, received) => {
                self.of_log(primary, &server, (replayed, received)).await
            }
            At::Backfill(there) => {
                self.of_backfill(primary, &ledger, &work, (&server, there)).await
            }
        }
    }
}
