//! The probe: how fast production is beside the copy, now and under its load.
//!
//! It changes nothing: a little arithmetic, a few ranges of the blocks of the largest tables that both have, and on
//! PostgreSQL messages in the log that mean nothing to anybody, to see how fast that is written to the disk. One side is
//! asked after the other in turn, so that what else goes on meets both.

use std::time::{Duration, Instant};

use crate::db::{Database, DbError, Engine, Purpose, Session, Statement};

use super::facts::Facts;

/// How often each is asked.
const ROUNDS: usize = 12;
/// Blocks in a range: half a megabyte.
const BLOCKS: u64 = 64;
/// Rows in a range where there are no blocks to be named.
const ROWS: u64 = 2_000;
/// Even where both answer alike, more isn't known by so few looks.
const LEAST: f64 = 0.05;
/// How much of the difference may be of what isn't asked for.
const DOUBT: f64 = 0.35;

/// How long somebody else's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A message in the log, in bytes: so long that waiting for its end on the disk takes little of its time. And how many of
/// them there may be: less than a segment in all.
const MESSAGE: u64 = 4 << 20;
const MESSAGES: u64 = 2;
/// A disk that takes as long for fewer is slow enough to be known.
const ENOUGH: Duration = Duration::from_millis(500);

/// How long production takes for what takes the copy a second.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Speed {
    /// Production's time in that of the copy.
    pub ratio: f64,
    /// The standard deviation of its logarithm.
    pub spread: f64,
    /// Bytes of log a second that its disk takes, where that is known.
    pub log_rate: Option<f64>,
}

impl Speed {
    /// Of two databases on one server.
    pub fn same() -> Self {
        Speed { ratio: 1.0, spread: 0.0, log_rate: None }
    }

    /// From the logarithms of the times' ratios, of arithmetic and of reading.
    fn from(arithmetic: &[f64], reading: &[f64]) -> Self {
        let known: Vec<f64> = [median(arithmetic), median(reading)].into_iter().flatten().collect();
        if known.is_empty() {
            return Speed { ratio: 1.0, spread: DOUBT, log_rate: None };
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        // Where the two disagree, it depends on which a statement does more of.
        let apart = known.iter().map(|one| (one - mean).abs()).fold(0.0, f64::max);
        let doubt = DOUBT * mean.abs();
        let spread = (LEAST * LEAST + apart * apart + doubt * doubt).sqrt();
        Speed { ratio: mean.exp(), spread, log_rate: None }
    }
}

/// Compares production with the copy.
///
/// # Errors
/// The databases'.
pub async fn compare(
    copy: (&dyn Database, &Facts),
    production: (&dyn Database, &Facts),
) -> Result<Speed, DbError> {
    let engine = copy.0.dialect().engine;
    let mut here = copy.0.session(Purpose::Watch).await?;
    let mut there = production.0.session(Purpose::Watch).await?;
    // What somebody has locked isn't waited for.
    for session in [&mut here, &mut there] {
        session.set(&copy.0.dialect().set_lock_timeout(PATIENCE)).await?;
    }
    let tables = common(copy.1, production.1);
    let (mut arithmetic, mut reading) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let sql = sums(engine);
        let one = time(here.as_mut(), &sql).await?;
        arithmetic.push((time(there.as_mut(), &sql).await? / one).ln());
        let Some(table) = tables.get(round % tables.len().max(1)) else { continue };
        // Not everybody may read every table.
        let one = range(engine, here.as_mut(), table, copy.1).await;
        let other = range(engine, there.as_mut(), table, production.1).await;
        if let (Ok(Some(one)), Ok(Some(other))) = (one, other) {
            reading.push((other / one).ln());
        }
    }
    let log_rate = match engine {
        // A standby writes none, and not everybody may.
        Engine::Postgres => log_rate(there.as_mut()).await.unwrap_or_default(),
        Engine::MySql | Engine::Sqlite => None,
    };
    Ok(Speed { log_rate, ..Speed::from(&arithmetic, &reading) })
}

/// Bytes of log that a server's disk takes in a second.
async fn log_rate(session: &mut dyn Session) -> Result<Option<f64>, DbError> {
    // Who reads the log by one of these would get the messages, and may not be able to take them.
    let decoded = "select count(*) from pg_replication_slots where slot_type = 'logical'";
    let decoded = session.query(&Statement::new(decoded, Vec::new())).await?;
    if decoded.first().map_or(Ok(0), |row| row.int(0))? > 0 {
        return Ok(None);
    }
    let message =
        format!("select pg_logical_emit_message(true, 'lockkeeper', repeat('x', {MESSAGE}))::text");
    let message = Statement::new(message, Vec::new());
    // The first one opens files.
    session.query(&message).await?;
    let began = Instant::now();
    let mut written = 0;
    while written < MESSAGES && began.elapsed() < ENOUGH {
        session.query(&message).await?;
        written += 1;
    }
    Ok(Some((written * MESSAGE) as f64 / began.elapsed().as_secs_f64()))
}

/// The largest tables that both have.
fn common<'f>(copy: &'f Facts, production: &Facts) -> Vec<&'f str> {
    const MOST: usize = 3;
    let both = copy.tables.iter().filter(|(name, _)| production.tables.contains_key(*name));
    let mut both: Vec<_> = both.filter(|(_, facts)| facts.bytes > 0).collect();
    both.sort_by_key(|(_, facts)| std::cmp::Reverse(facts.bytes));
    both.into_iter().take(MOST).map(|(name, _)| name.as_str()).collect()
}

fn sums(engine: Engine) -> String {
    match engine {
        Engine::Postgres => {
            "select count(md5(i::text)) from generate_series(1, 30000) i".to_owned()
        }
        Engine::MySql => "select cast(benchmark(30000, md5('lockkeeper')) as signed)".to_owned(),
        Engine::Sqlite => {
            "with recursive i(n) as (select 1 union all select n + 1 from i where n < 30000) \
                           select count(hex(n)) from i"
                .to_owned()
        }
    }
}

/// A range somewhere in a table: seconds for each of its rows; none where there was nothing.
async fn range(
    engine: Engine,
    session: &mut dyn Session,
    table: &str,
    facts: &Facts,
) -> Result<Option<f64>, DbError> {
    let Some(known) = facts.table(table) else { return Ok(None) };
    let name = match table.split_once('.') {
        Some((schema, name)) => engine.dialect().qualified(Some(schema), name),
        None => engine.dialect().quote(table),
    };
    let sql = match engine {
        Engine::Postgres => {
            // Before that version a range of blocks is found by reading them all. A partitioned table has none.
            if facts.major.parse::<u32>().is_ok_and(|major| major < 14) {
                return Ok(None);
            }
            let size =
                format!("select pg_relation_size('{}'::regclass) / 8192", name.replace('\'', "''"));
            let size = session.query(&Statement::new(size, Vec::new())).await?;
            let blocks = size.first().map_or(Ok(0), |row| row.int(0))?.unsigned_abs();
            let first = fastrand::u64(..=blocks.saturating_sub(BLOCKS));
            let last = first + BLOCKS;
            format!(
                "select count(*), coalesce(sum(length(t::text)), 0)::bigint from only {name} t \
                 where ctid >= '({first},0)' and ctid < '({last},0)'"
            )
        }
        Engine::MySql | Engine::Sqlite => {
            let rows = known.rows.unwrap_or(0);
            // What is skipped is read, too.
            let first = fastrand::u64(..=rows.saturating_sub(ROWS).min(10 * ROWS));
            format!("select count(*) from (select 1 from {name} limit {ROWS} offset {first}) t")
        }
    };
    let began = Instant::now();
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    let took = began.elapsed().as_secs_f64();
    let rows = rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0);
    Ok((rows > 0).then(|| took / rows as f64))
}

async fn time(session: &mut dyn Session, sql: &str) -> Result<f64, DbError> {
    let began = Instant::now();
    session.query(&Statement::new(sql, Vec::new())).await?;
    Ok(began.elapsed().as_secs_f64().max(1e-6))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
