//! Dead rows of the table at work, against its vacuum, on PostgreSQL.
//!
//! An UPDATE leaves the old version of each row behind, until a vacuum clears it away. A vacuum that
//! works competes with the batches for the disk; and where they are faster than it, the table grows.
//! So while one works on the table, they leave it the room that it needs, and at the limit they wait for
//! it. But only for one that comes, and that helps: where autovacuum is off, or what it left is still
//! needed by an open transaction, waiting would be in vain.
//!
//! The server counts a session's dead rows with the others' once a second at most, so that a reading is
//! a second or two old.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::db::{DbError, Row, Statement, TableName};

use super::{Governor, Line, Reading, Signal, SignalError, Site, Unit};

/// For so long a vacuum that is due is waited for, or three times as long as autovacuum sleeps: its
/// workers may be busy elsewhere.
const PATIENCE: Duration = Duration::from_secs(300);

/// The table, and where its long values are kept (TOAST), which is vacuumed on its own and goes by the
/// table's settings unless it has some itself. Dead rows, rows, and from how many dead ones on autovacuum
/// comes (`relation_needs_vacanalyze` in src/backend/postmaster/autovacuum.c), if it does; how many
/// vacuums have ended; and whether one works. What a vacuum works on is hidden from other users, but what
/// it has locked isn't.
const HEAPS: &str = "select (c.oid <> r.oid)::int, \
    coalesce(pg_stat_get_dead_tuples(c.oid), 0), \
    greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 1), \
    floor(case when own.most < 0 then own.base + own.share * greatest(c.reltuples, 0) \
     else least(own.base + own.share * greatest(c.reltuples, 0), own.most) end)::bigint, \
    (own.enabled and current_setting('autovacuum')::boolean \
     and current_setting('track_counts')::boolean)::int, \
    coalesce(pg_stat_get_vacuum_count(c.oid) + pg_stat_get_autovacuum_count(c.oid), 0), \
    (exists (select from pg_stat_progress_vacuum v join pg_locks l on l.pid = v.pid \
     where l.relation = c.oid and l.mode = 'ShareUpdateExclusiveLock' and l.granted \
     and l.database = (select oid from pg_database where datname = current_database())))::int, \
    (select setting::bigint from pg_settings where name = 'autovacuum_naptime') \
    from pg_class r join pg_namespace n on n.oid = r.relnamespace \
    join pg_class c on c.oid in (r.oid, r.reltoastrelid), \
    lateral (select \
     coalesce(max(v) filter (where o = 'autovacuum_vacuum_threshold'), \
              current_setting('autovacuum_vacuum_threshold'))::float8 as base, \
     coalesce(max(v) filter (where o = 'autovacuum_vacuum_scale_factor'), \
              current_setting('autovacuum_vacuum_scale_factor'))::float8 as share, \
     coalesce(max(v) filter (where o = 'autovacuum_vacuum_max_threshold'), \
              current_setting('autovacuum_vacuum_max_threshold', true), '-1')::float8 as most, \
     coalesce(max(v) filter (where o = 'autovacuum_enabled'), 'on')::boolean as enabled \
     from pg_options_to_table(coalesce(c.reloptions, r.reloptions)) options(o, v)) own \
    where n.nspname = $1 and r.relname = $2 order by 1";

/// Dead rows of the table at work.
pub struct Vacuum {
    /// As a share of the table.
    limit: f64,
    site: Site,
    /// The table of the last reading.
    table: Option<TableName>,
    /// Since its rows, and its long values, are beyond the limit.
    waits: [Option<Wait>; 2],
}

/// What is vacuumed as one.
#[derive(Debug, Clone, Copy)]
struct Heap {
    /// The long values of the table.
    is_toast: bool,
    dead: i64,
    /// As many as there are, dead ones left out, or were at the last vacuum.
    rows: i64,
    /// From more dead rows than this on, autovacuum comes …
    threshold: i64,
    /// … if it does.
    is_automatic: bool,
    /// How many vacuums have ended.
    ended: i64,
    /// Whether one works.
    is_vacuumed: bool,
}

/// How long something has been beyond the limit.
#[derive(Debug, Clone, Copy)]
struct Wait {
    /// When a vacuum was last seen at work, or first looked for.
    since: Instant,
    /// How many had ended then.
    ended: i64,
}

impl Vacuum {
    /// Dead rows may be at most such a share of the table.
    pub fn new(limit: f64, site: &Site) -> Self {
        Vacuum { limit, site: site.clone(), table: None, waits: [None; 2] }
    }

    /// What there is to say of it, if anything.
    fn judge(
        &mut self,
        table: &TableName,
        heap: Heap,
        patience: Duration,
        now: Instant,
    ) -> Option<Reading> {
        let (value, limit) = (heap.dead as f64 / heap.rows as f64, self.limit);
        let reading = |critical, why: &str| {
            let part = if heap.is_toast { ", its long values (TOAST)" } else { "" };
            let subject = Some(format!("{table}{part}, {why}"));
            Some(Reading { value, limit, critical, unit: Unit::Share, subject })
        };
        let wait = &mut self.waits[usize::from(heap.is_toast)];
        if value < limit {
            *wait = None;
            return heap.is_vacuumed.then(|| reading(limit, "being vacuumed")).flatten();
        }
        let wait = wait.get_or_insert(Wait { since: now, ended: heap.ended });
        // One that ends begins its count anew, with the rows that it had to leave.
        if heap.ended != wait.ended {
            return reading(f64::INFINITY, "which the last vacuum couldn't clear");
        }
        let is_due = heap.is_automatic && heap.dead > heap.threshold;
        if heap.is_vacuumed || !is_due {
            wait.since = now;
        }
        match () {
            () if heap.is_vacuumed => reading(limit, "being vacuumed"),
            () if !heap.is_automatic => reading(f64::INFINITY, "where autovacuum is off"),
            // It comes once there are more.
            () if !is_due => None,
            () if now.saturating_duration_since(wait.since) > patience => {
                reading(f64::INFINITY, "where no vacuum comes")
            }
            () => reading(limit, "waiting for autovacuum"),
        }
    }
}

impl Heap {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Heap {
            is_toast: row.int(0)? != 0,
            dead: row.int(1)?,
            rows: row.int(2)?.max(1),
            threshold: row.int(3)?,
            is_automatic: row.int(4)? != 0,
            ended: row.int(5)?,
            is_vacuumed: row.int(6)? != 0,
        })
    }
}

#[async_trait]
impl Signal for Vacuum {
    fn name(&self) -> &'static str {
        "dead-rows"
    }

    fn governor(&self) -> Governor {
        Governor::of_room()
    }

    fn left_out_by(&self) -> Option<&'static str> {
        Some("--max-dead off")
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let table = self.site.work().and_then(|work| work.table);
        if self.table != table {
            self.waits = [None; 2];
            self.table.clone_from(&table);
        }
        let Some(table) = table else { return Ok(None) };
        let name = vec![table.schema.as_deref().unwrap_or_default().into(), table.name[..].into()];
        let rows = line.session().await?.query(&Statement::new(HEAPS, name)).await?;
        let now = Instant::now();
        let mut worst: Option<Reading> = None;
        for row in &rows {
            let sleep = Duration::from_secs(row.int(7)?.max(0).unsigned_abs());
            let reading = self.judge(&table, Heap::read(row)?, PATIENCE.max(3 * sleep), now);
            let pace = |reading: &Option<Reading>| reading.as_ref().map_or(1.0, Governor::room);
            if pace(&reading) < pace(&worst) {
                worst = reading;
            }
        }
        Ok(worst)
    }
}

#[cfg(test)]
mod tests;
