//! The probe: how fast production is beside the copy, now and under its load.
//!
//! It changes nothing: a little arithmetic, a few ranges of the blocks of the largest tables that both have, and on
//! PostgreSQL messages in the log that mean nothing to anybody, to see how fast that is written to the disk. One side is
//! asked after the other in turn, so that what else goes on meets both.

use std::time::{Duration, Instant};

use crate::db::{Database, DbError, Engine, Purpose, Session, Statement};

use super::facts::Facts;

/// How often each is asked.
const ROUNDS: usize = 24;
/// Blocks in a range: half a megabyte.
const BLOCKS: u64 = 64;
/// Rows in a range where there are no blocks to be named.
const ROWS: u64 = 2_000;
/// Even where both answer alike, more isn't known by so few looks.
const LEAST: f64 = 0.05;
/// How much of the difference may be of what isn't asked for.
const DOUBT: f64 = 0.35;
/// By how much servers differ, before anything is measured, as a logarithm: so far a measurement is believed
/// that is less certain than this.
const USUAL: f64 = 0.35;
/// Arithmetic is most of what a migration does, and is measured with less noise.
const ARITHMETIC: f64 = 0.65;
/// A run meets good and bad moments, which partly even out: so much of their difference is left.
const MOODS: f64 = 0.4;
/// No machine is taken to be more moody than this, as a logarithm.
const WILDEST: f64 = 0.5;

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
    /// And that of the copy.
    pub copy_log_rate: Option<f64>,
    /// Whether no table could be read on both sides, so that only arithmetic was compared.
    #[serde(skip)]
    pub is_unread: bool,
}

impl Speed {
    /// Of two databases on one server.
    pub fn same() -> Self {
        Speed { ratio: 1.0, spread: 0.0, log_rate: None, copy_log_rate: None, is_unread: false }
    }

    fn of(arithmetic: &Pairs, readings: &[Pairs]) -> Self {
        let known =
            [(arithmetic.compare(), ARITHMETIC), (Compared::mean(readings), 1.0 - ARITHMETIC)];
        let known = known.into_iter().filter_map(|(one, weight)| Some((one?, weight)));
        let known: Vec<(Compared, f64)> = known.collect();
        let weights: f64 = known.iter().map(|(_, weight)| weight).sum();
        if known.is_empty() {
            return Speed { spread: DOUBT, ..Speed::same() };
        }
        let mean = known.iter().map(|(one, weight)| one.log * weight).sum::<f64>() / weights;
        let error = known.iter().map(|(one, weight)| one.error * weight).sum::<f64>() / weights;
        // Where the two disagree, it depends on which a statement does more of.
        let apart = known.iter().map(|(one, _)| (one.log - mean).abs()).fold(0.0, f64::max);
        let mood = MOODS * arithmetic.mood().min(WILDEST);
        let parts = [LEAST, apart, error, mood, DOUBT * mean.abs()];
        let spread = parts.iter().map(|part| part * part).sum::<f64>().sqrt();
        Speed { ratio: mean.exp(), spread, ..Speed::same() }
    }
}

/// Times of the same work, in seconds, of the copy and of production.
#[derive(Debug, Default)]
struct Pairs {
    copy: Vec<f64>,
    production: Vec<f64>,
}

/// The logarithm of how much longer production takes, and how far off that may be.
#[derive(Debug, Clone, Copy)]
struct Compared {
    log: f64,
    error: f64,
}

impl Compared {
    /// Of several tables, whose rows take more or less time each.
    fn mean(tables: &[Pairs]) -> Option<Compared> {
        let known: Vec<_> = tables.iter().filter_map(Pairs::compare).collect();
        let of =
            |value: fn(&Compared) -> f64| known.iter().map(value).sum::<f64>() / known.len() as f64;
        (!known.is_empty()).then(|| Compared { log: of(|one| one.log), error: of(|one| one.error) })
    }
}

impl Pairs {
    fn add(&mut self, copy: f64, production: f64) {
        self.copy.push(copy);
        self.production.push(production);
    }

    /// By the quarter that was the fastest: what comes and goes on a machine meets one of the two for some rounds, and makes
    /// nothing faster. A server that is always busy is slow in these, too.
    fn compare(&self) -> Option<Compared> {
        let at = |share| {
            let (copy, production) =
                (quantile(&self.copy, share)?, quantile(&self.production, share)?);
            Some((production / copy).ln())
        };
        let (quarter, half) = (at(0.25)?, at(0.5)?);
        let error = (quarter - half).abs();
        // What isn't certain counts less.
        let believed = USUAL * USUAL / (USUAL * USUAL + error * error);
        Some(Compared { log: quarter * believed, error: error * believed.sqrt() })
    }

    /// By how much the same takes longer at one moment than at another, on the worse of the two, as a logarithm.
    fn mood(&self) -> f64 {
        let width = |times| Some((quantile(times, 0.8)? / quantile(times, 0.2)?).ln() / 2.0);
        [width(&self.copy), width(&self.production)].into_iter().flatten().fold(0.0, f64::max)
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
    let mut arithmetic = Pairs::default();
    let mut readings: Vec<Pairs> = tables.iter().map(|_| Pairs::default()).collect();
    for round in 0..ROUNDS {
        let sql = sums(engine);
        // In turn the one and the other is first: the second has the processor warm.
        let (one, other) = if round % 2 == 0 {
            let one = time(here.as_mut(), &sql).await?;
            (one, time(there.as_mut(), &sql).await?)
        } else {
            let other = time(there.as_mut(), &sql).await?;
            (time(here.as_mut(), &sql).await?, other)
        };
        arithmetic.add(one, other);
        let next = round % tables.len().max(1);
        let Some((table, reading)) = tables.get(next).zip(readings.get_mut(next)) else { continue };
        let at = fastrand::f64();
        // Not everybody may read every table.
        let one = range(engine, here.as_mut(), table, copy.1, at).await;
        let other = range(engine, there.as_mut(), table, production.1, at).await;
        if let (Ok(Some(one)), Ok(Some(other))) = (one, other) {
            reading.add(one, other);
        }
    }
    let (copy_log_rate, log_rate) = match engine {
        // A standby writes none, and not everybody may.
        Engine::Postgres => (
            log_rate(here.as_mut()).await.unwrap_or_default(),
            log_rate(there.as_mut()).await.unwrap_or_default(),
        ),
        Engine::MySql | Engine::Sqlite => (None, None),
    };
    let is_unread = !readings.is_empty() && readings.iter().all(|pairs| pairs.copy.is_empty());
    Ok(Speed { log_rate, copy_log_rate, is_unread, ..Speed::of(&arithmetic, &readings) })
}

/// Bytes of log that a server's disk takes in a second.
async fn log_rate(session: &mut dyn Session) -> Result<Option<f64>, DbError> {
    // Who reads the log by one of these would get the messages, and may not be able to take them.
    let decoded = "select count(*) from pg_replication_slots where slot_type = 'logical'";
    let decoded = session.query(&Statement::new(decoded, Vec::new())).await?;
    if decoded.first().map_or(Ok(0), |row| row.int(0))? > 0 {
        return Ok(None);
    }
    // Whoever waits for replicas that aren't there would wait for ever.
    session.set(&format!("set statement_timeout = {}", PATIENCE.as_millis())).await?;
    let message = |bytes: u64| {
        format!("select pg_logical_emit_message(true, 'lockkeeper', repeat('x', {bytes}))::text")
    };
    // The first one opens files.
    time(session, &message(MESSAGE)).await?;
    let began = Instant::now();
    // The disk may be at something else for one of them.
    let (mut few, mut many) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..MESSAGES {
        // What a commit takes whatever it writes isn't for its bytes.
        few = few.min(time(session, &message(1)).await?);
        many = many.min(time(session, &message(MESSAGE)).await?);
        if began.elapsed() >= ENOUGH {
            break;
        }
    }
    Ok(Some(MESSAGE as f64 / (many - few).max(many / 4.0)))
}

/// The largest tables that both have.
fn common<'f>(copy: &'f Facts, production: &Facts) -> Vec<&'f str> {
    const MOST: usize = 3;
    let both = copy.tables.iter().filter(|(name, _)| production.tables.contains_key(*name));
    let mut both: Vec<_> = both.filter(|(_, facts)| facts.bytes > 0).collect();
    both.sort_by_key(|(_, facts)| std::cmp::Reverse(facts.bytes));
    both.into_iter().take(MOST).map(|(name, _)| name.as_str()).collect()
}

/// Arithmetic of some milliseconds.
pub(super) fn sums(engine: Engine) -> String {
    match engine {
        Engine::Postgres => {
            "select count(md5(i::text)) from generate_series(1, 15000) i".to_owned()
        }
        Engine::MySql => "select cast(benchmark(15000, md5('lockkeeper')) as signed)".to_owned(),
        Engine::Sqlite => {
            "with recursive i(n) as (select 1 union all select n + 1 from i where n < 15000) \
                           select count(hex(n)) from i"
                .to_owned()
        }
    }
}

/// A range at so far a place in a table: seconds for each of its rows; none where there was nothing.
async fn range(
    engine: Engine,
    session: &mut dyn Session,
    table: &str,
    facts: &Facts,
    at: f64,
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
            // Who may not read it would leave an error in production's log.
            let size = "select pg_relation_size($1::text::regclass) / 8192 \
                        where has_table_privilege($1::text, 'select')";
            let size = Statement::new(size, vec![name.clone().into()]);
            let size = session.query(&size).await?;
            let Some(blocks) = size.first() else { return Ok(None) };
            let blocks = blocks.int(0)?.unsigned_abs();
            let first = (at * blocks.saturating_sub(BLOCKS) as f64) as u64;
            let last = first + BLOCKS;
            format!(
                "select count(*), coalesce(sum(length(t::text)), 0)::bigint from only {name} t \
                 where ctid >= '({first},0)' and ctid < '({last},0)'"
            )
        }
        Engine::MySql | Engine::Sqlite => {
            let rows = known.rows.unwrap_or(0);
            // What is skipped is read, too.
            let first = (at * rows.saturating_sub(ROWS).min(10 * ROWS) as f64) as u64;
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

fn quantile(times: &[f64], share: f64) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get((times.len() as f64 * share) as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(times: impl Iterator<Item = (f64, f64)>) -> Pairs {
        let mut pairs = Pairs::default();
        times.for_each(|(copy, production)| pairs.add(copy, production));
        pairs
    }

    #[test]
    fn a_machine_that_is_busy_for_some_rounds_is_no_slower() {
        let busy = |round: usize| if round < 14 { 1.9 } else { 1.0 };
        let noisy = pairs((0..24).map(|round| (0.010, 0.010 * busy(round))));
        let even = [pairs((0..24).map(|_| (0.003, 0.003)))];
        let told = Speed::of(&noisy, &even);
        assert!((told.ratio - 1.0).abs() < 0.01, "{told:?}");
        let quiet = Speed::of(&even[0], &even);
        assert!(told.spread > quiet.spread + 0.05, "{told:?} {quiet:?}");
    }

    #[test]
    fn a_slower_one_is_told() {
        let slow = pairs((0..24).map(|_| (0.010, 0.020)));
        let told = Speed::of(&slow, std::slice::from_ref(&slow));
        assert!((told.ratio - 2.0).abs() < 0.05, "{told:?}");
        let nothing = Speed::of(&Pairs::default(), &[]);
        assert!((nothing.ratio - 1.0).abs() < 1e-9 && nothing.spread > 0.3);
    }

    #[test]
    fn what_is_uncertain_is_believed_less() {
        // A quarter of the rounds says that it is a fifth slower, and the others that it is three times as slow.
        let torn = pairs((0..24).map(|round| (0.010, if round < 9 { 0.012 } else { 0.030 })));
        let told = Speed::of(&torn, &[]);
        assert!((1.0..1.1).contains(&told.ratio) && told.spread > 0.25, "{told:?}");
    }

    #[test]
    fn tables_are_compared_each_with_itself() {
        let dear = pairs((0..8).map(|_| (0.9, 0.9)));
        let cheap = pairs((0..8).map(|_| (0.01, 0.02)));
        let mean = Compared::mean(&[dear, cheap]).unwrap();
        assert!((mean.log - 2_f64.ln() / 2.0).abs() < 1e-6, "{mean:?}");
    }
}
