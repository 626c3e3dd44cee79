//! From a step with a batch directive to a statement that is proved and rewritten.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::batch::{
    Batch, KeyColumn, Part, Refusal, Said, Servo, Shape, Spot, Warning, parse, prove_reading,
    rewrite,
};
use crate::db::{DbError, Dialect, Engine, ErrorKind, Row, Session, Statement, Table, TableName};
use crate::ledger::Cursor;
use crate::migration::{BatchDirective, MOST_WORKERS, Migration, Step};
use crate::place::Explanation;
use crate::worker::Worker;

/// How long a batch waits for a row lock of somebody else's before it lets go and tries again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// All batches together lock no more than this part of the table's rows at a time, one in so many: of the
/// updates that an application makes somewhere in it, fewer then have to wait for one.
const LOCKED_PART: u64 = 200;

/// A backfill that is proved and rewritten.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The statement's queries.
    pub batch: Batch,
    /// What the catalog says of the table.
    pub table: Table,
    /// The table that an INSERT adds to.
    pub into: Option<TableName>,
    /// Keys in the first batch.
    pub rows: u64,
    /// How long a batch is to take.
    pub target: Duration,
    /// Sessions that work on it, as its file says.
    pub workers: u32,
    /// Sessions that can work on it, whoever asks for them.
    pub most_workers: u32,
    /// What one should know of it.
    pub warnings: Vec<Warned>,
    /// How many rows a block has, about, where it goes along these.
    pub(super) rows_per_block: f64,
    pub(super) dialect: Dialect,
}

/// A warning about a statement, and where in its file.
#[derive(Debug, Clone)]
pub struct Warned {
    /// The cause, in one sentence.
    pub message: String,
    /// Where, and what one can do.
    pub explanation: Explanation,
}

/// Why a statement isn't batched.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It can't be proved safe.
    #[error("{refusal}")]
    Refused {
        /// The reason.
        refusal: Refusal,
        /// Where, and the ways out.
        explanation: Explanation,
    },
    /// The database's error.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Reads the statement of a backfill step: what can be said of it whatever the tables are like.
///
/// # Errors
/// [`PrepareError::Refused`] with the place and the ways out.
pub fn read(
    dialect: Dialect,
    migration: &Migration,
    step: &Step,
    directive: &BatchDirective,
) -> Result<Shape, PrepareError> {
    parse(migration.sql(step), dialect)
        .map_err(|refusal| refused(migration, step, directive, refusal))
}

/// Proves and rewrites the statement of a backfill step. `None` when its table doesn't exist (yet:
/// an earlier step may create it).
///
/// # Errors
/// [`PrepareError::Refused`] with the place and the ways out.
pub async fn prepare(
    session: &mut dyn Session,
    dialect: Dialect,
    migration: &Migration,
    step: &Step,
    directive: &BatchDirective,
) -> Result<Option<Prepared>, PrepareError> {
    let shape = read(dialect, migration, step, directive)?;
    let refused = |refusal| refused(migration, step, directive, refusal);
    let reading = session.reading(&shape.called()).await?;
    prove_reading(&shape, &reading, dialect).map_err(refused)?;
    let relations = shape.relations();
    let Some(table) = session.table(&relations.target).await? else { return Ok(None) };
    let into = match &relations.into {
        None => None,
        Some(name) => match session.table(name).await? {
            None => return Ok(None),
            into => into,
        },
    };
    let mut read = Vec::new();
    for name in &relations.read {
        match session.table(name).await? {
            Some(table) => read.push(table),
            None => return Ok(None),
        }
    }
    let said = Said {
        key: directive.key.as_deref(),
        trust_triggers: directive.trust_triggers,
        trust_per_batch: directive.trust_per_batch,
    };
    let batch = rewrite(&shape, said, &table, into.as_ref(), &read, dialect).map_err(refused)?;
    // SQLite lets one session write at a time.
    let most_workers = if dialect.engine == Engine::Sqlite { 1 } else { MOST_WORKERS };
    let warnings = batch.warnings().iter();
    let warnings = warnings.map(|warning| warned(migration, step, directive, warning)).collect();
    Ok(Some(Prepared {
        batch,
        warnings,
        table,
        into: into.map(|into| into.name),
        rows: directive.rows.unwrap_or(Servo::FIRST),
        target: directive.target.unwrap_or(Servo::TARGET),
        workers: directive.workers.unwrap_or(1).min(most_workers),
        most_workers,
        rows_per_block: 1.0,
        dialect,
    }))
}

/// How long the step's queries wait for somebody else's lock.
pub fn lock_timeout(step: &Step) -> Duration {
    step.lock_timeout.unwrap_or(LOCK_TIMEOUT)
}

/// Sets the session up for the proof, which waits for whoever has locked the table, and for batches.
///
/// # Errors
/// The database's.
pub async fn settle(worker: &mut Worker, lock_timeout: Duration) -> Result<(), DbError> {
    let dialect = worker.database().dialect();
    for sql in dialect.batch_settings() {
        worker.set(sql).await?;
    }
    worker.set(&dialect.set_lock_timeout(lock_timeout)).await
}

/// Leaves the session as the file's next step expects it.
///
/// # Errors
/// The database's.
pub async fn unsettle(worker: &mut Worker) -> Result<(), DbError> {
    let dialect = worker.database().dialect();
    let mut resets = dialect.reset_batch_settings().to_vec();
    resets.push(dialect.reset_lock_timeout());
    worker.reset(resets).await
}

/// Where the statement's text has nothing to point at, the directive has asked for it.
fn refused(
    migration: &Migration,
    step: &Step,
    directive: &BatchDirective,
    refusal: Refusal,
) -> PrepareError {
    let start = step.span.start;
    let mut explanation = refusal
        .explanation(|span, label| migration.place(start + span.start..start + span.end, label));
    if explanation.place.is_none() {
        explanation.place = Some(Box::new(migration.place(directive.span.clone(), "")));
    }
    PrepareError::Refused { refusal, explanation }
}

fn warned(
    migration: &Migration,
    step: &Step,
    directive: &BatchDirective,
    warning: &Warning,
) -> Warned {
    let start = step.span.start;
    let mut explanation =
        warning.explanation(|span| migration.place(start + span.start..start + span.end, ""));
    if explanation.place.is_none() {
        explanation.place = Some(Box::new(migration.place(directive.span.clone(), "")));
    }
    Warned { message: warning.message.clone(), explanation }
}

impl Prepared {
    /// The key's columns; of a table without one, what PostgreSQL calls the place of a row.
    pub fn key(&self) -> Vec<String> {
        if self.batch.is_by_block() {
            return vec!["ctid".to_owned()];
        }
        self.batch.key().iter().map(|column| column.name.clone()).collect()
    }

    /// The key's columns and their types, by which a checkpoint knows its key.
    pub fn described_key(&self) -> String {
        if self.batch.is_by_block() {
            return Cursor::BLOCKS.to_owned();
        }
        // Another table's partitions have other numbers, also one's that was put back from a dump.
        let partitions = self.table.partitions.as_ref();
        let of = partitions.map(|it| format!("{} {}, ", Cursor::PARTITIONS, it.number));
        let column = |column: &KeyColumn| {
            format!("{} {}", self.dialect.quote(&column.name), column.type_name)
        };
        let columns = self.batch.key().iter().map(column).collect::<Vec<_>>().join(", ");
        format!("{}{columns}", of.unwrap_or_default())
    }

    /// What the statement was made to, for comparison with what another process makes of it: the table
    /// that its name means, the key, and the SQL with its pinned clocks.
    pub fn fingerprint(&self) -> String {
        let name = &self.table.name;
        let parts = [
            self.dialect.qualified(name.schema.as_deref(), &name.name),
            self.described_key(),
            self.batch.apply_to_none().sql,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The range's end: the last key there is now. `None` for an empty table. Recorded once, so
    /// that inserts can't make the backfill endless.
    ///
    /// # Errors
    /// The database's.
    pub async fn ceiling(&self, worker: &mut Worker) -> Result<Option<Cursor>, DbError> {
        if self.batch.is_partitioned() {
            return self.last_leaf(worker).await;
        }
        let rows = worker.query(&self.batch.last()).await?;
        rows.first().map(|row| Ok(Cursor::at(self.key_in(row)?))).transpose()
    }

    /// The key in a row of [`Batch::last`] or [`Batch::boundary`].
    ///
    /// # Errors
    /// [`ErrorKind::Type`] for a key that a range could not end at.
    pub fn key_in(&self, row: &Row) -> Result<Vec<String>, DbError> {
        let key: Result<Vec<_>, _> =
            (0..row.0.len()).map(|index| row.text(index).map(str::to_owned)).collect();
        let lost = |_| {
            let key = self.key().join(", ");
            let message = format!(
                "the key ({key}) of a row doesn't survive the way through text, so that rows could \
                 be passed by: a zero date, or a value of another type than its column"
            );
            DbError::new(ErrorKind::Type, message)
        };
        key.map_err(lost)
    }

    /// How many rows a batch has at most, in a table of so many keys, where so many workers are at it. On
    /// SQLite a batch locks all of them, and few large ones do so less often than many small ones.
    pub fn most_rows(&self, keys: Option<u64>, workers: u32) -> u64 {
        let passes = if self.batch.is_by_block() { u64::from(Spot::PASSES) } else { 1 };
        match keys.map(|keys| keys / passes) {
            Some(keys) if self.dialect.engine != Engine::Sqlite => {
                (keys / LOCKED_PART / u64::from(workers.max(1))).max(self.rows)
            }
            _ => Servo::MOST,
        }
    }

    /// Lets the session's commits not wait for the disk. Only once the range is claimed: a batch
    /// that a crash of the server takes back is done again, rows and cursor being one, but of a
    /// claim that is taken back nobody would know.
    ///
    /// # Errors
    /// The database's.
    pub async fn hurry(&self, worker: &mut Worker) -> Result<(), DbError> {
        match self.dialect.commit_setting() {
            Some(sql) => worker.set(sql).await,
            None => Ok(()),
        }
    }

    /// `id ≤ 6812000`, or `block ≤ 680`.
    pub fn position(&self, cursor: &Cursor) -> String {
        let Some(key) = cursor.key() else { return String::new() };
        if self.batch.is_by_block() {
            return Spot::of(key).to_string();
        }
        if self.batch.is_partitioned() {
            return self.place_in_leaf(key);
        }
        self.key_position(key)
    }

    pub(super) fn key_position(&self, key: &[String]) -> String {
        format!("{} ≤ {}", row_of(&self.key()), row_of(key))
    }

    /// `id ≤ 6812000, and half of those up to 6822000`.
    pub fn extent(&self, cursor: &Cursor) -> String {
        let position = self.position(cursor);
        match cursor.block() {
            Some(block) => {
                format!("{position}, and half of those up to {}", row_of(&block.through))
            }
            None => position,
        }
    }

    /// `id > 20000 and id <= 24000`: a batch's keys, as SQL to look them up with.
    pub fn between(&self, after: Option<&[String]>, through: &[String], part: Part) -> String {
        if self.batch.is_by_block() {
            return Spot::of(through).behind(after.map(Spot::of));
        }
        let key = self.batch.key();
        let half = key.first().map(|column| part.condition(&column.name, &column.type_name));
        let half = half.unwrap_or_default().replacen(" AND ", " and ", 1);
        format!("{}{half}", between(key, after, through))
    }
}

/// Counts a table's rows. `None` where there are more than `most`.
///
/// # Errors
/// The database's.
pub async fn count_up_to(
    session: &mut dyn Session,
    dialect: Dialect,
    name: &TableName,
    most: u64,
) -> Result<Option<u64>, DbError> {
    // One more, and no further.
    let table = dialect.qualified(name.schema.as_deref(), &name.name);
    let limit = most.saturating_add(1);
    let sql = format!("select count(*) from (select 1 as one from {table} limit {limit}) t");
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    let counted = rows.first().map_or(Ok(0), |row| row.int(0))?.max(0) as u64;
    Ok((counted <= most).then_some(counted))
}

fn between(key: &[KeyColumn], after: Option<&[String]>, through: &[String]) -> String {
    let names: Vec<_> = key.iter().map(|column| column.name.clone()).collect();
    let bound = |sign: &str, values: &[String]| {
        let values = key.iter().zip(values);
        let values: Vec<_> = values.map(|(column, value)| literal(column, value)).collect();
        format!("{} {sign} {}", row_of(&names), row_of(&values))
    };
    let through = bound("<=", through);
    match after {
        Some(after) => format!("{} and {through}", bound(">", after)),
        None => through,
    }
}

fn row_of(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}

/// A number may stand bare, but not beside a text.
fn literal(column: &KeyColumn, value: &str) -> String {
    let type_name = column.type_name.to_ascii_lowercase();
    let is_text = ["char", "text"].iter().any(|word| type_name.contains(word));
    match value.parse::<i128>() {
        Ok(_) if !is_text => value.to_owned(),
        _ => format!("'{}'", value.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_keys_can_be_looked_up() {
        let column = |(name, type_name): &(&str, &str)| KeyColumn {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
        };
        let key = |columns: &[(&str, &str)]| columns.iter().map(column).collect::<Vec<_>>();
        let at = |key: &[&str]| key.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        let id = key(&[("id", "bigint")]);
        assert_eq!(between(&id, Some(&at(&["-7"])), &at(&["24000"])), "id > -7 and id <= 24000");
        assert_eq!(between(&id, None, &at(&["o'b"])), "id <= 'o''b'");
        let pair = key(&[("a", "int"), ("b", "character varying(9)")]);
        assert_eq!(
            between(&pair, Some(&at(&["1", "x"])), &at(&["2", "15"])),
            "(a, b) > (1, 'x') and (a, b) <= (2, '15')"
        );
    }
}
