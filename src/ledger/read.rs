//! What the ledger says.

use crate::db::{DbError, Row, Session, Statement};

use super::{Cursor, Ledger, LedgerError, Passed, RangeRecord, RunRecord, StepRecord};

impl Ledger {
    /// All steps that were ever claimed; of a ledger that isn't there or is older, what it has.
    ///
    /// # Errors
    /// As [`Ledger::version`], and [`LedgerError::Damaged`].
    pub async fn steps(&self, session: &mut dyn Session) -> Result<Vec<StepRecord>, LedgerError> {
        let Some(version) = self.version(session).await? else { return Ok(Vec::new()) };
        let took = if version >= 2 { "took_ms" } else { "0" };
        let sql = self.sql(&format!(
            "select version, step, kind, checksum, state, run, began_at, {took} from [step] \
             order by version, step"
        ));
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        rows.iter().map(step).collect()
    }

    /// Whether a step of a migration was ever claimed that isn't in the table `history`: one
    /// question, for those who find nothing else to do. It has no answer where there is no ledger,
    /// or one that is damaged; [`Ledger::steps`] tells these apart.
    ///
    /// # Errors
    /// As [`Ledger::steps`].
    pub async fn has_unfinished(
        &self,
        session: &mut dyn Session,
        history: &str,
    ) -> Result<bool, LedgerError> {
        let sql = self.sql(&format!(
            "select s.version from [step] s where not exists \
             (select 1 from {history} h where h.version = s.version) limit 1"
        ));
        match session.query(&Statement::new(sql, Vec::new())).await.map_err(LedgerError::from) {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(LedgerError::Damaged { .. }) => Ok(!self.steps(session).await?.is_empty()),
            Err(error) => Err(error),
        }
    }

    /// The ranges of one step, in the order of their keys.
    ///
    /// # Errors
    /// The database's, and [`LedgerError::Damaged`].
    pub async fn ranges(
        &self,
        session: &mut dyn Session,
        version: i64,
        step: u32,
    ) -> Result<Vec<RangeRecord>, LedgerError> {
        let Some(ledger) = self.version(session).await? else { return Ok(Vec::new()) };
        let key = if ledger >= 3 { "key_columns" } else { "null" };
        let start = if ledger >= 4 { "start_key" } else { "null" };
        let owner = if ledger >= 5 { "owner" } else { "''" };
        let sql = self.sql(&format!(
            "select number, cursor_key, through_key, epoch, keys_done, keys_total, {key}, {start}, \
             {owner} \
             from [range] where version = {{1}} and step = {{2}} order by number"
        ));
        let params = vec![version.into(), i64::from(step).into()];
        let rows = session.query(&Statement::new(sql, params)).await?;
        in_order(rows.iter().map(|row| range(version, step, row)).collect::<Result<_, _>>()?)
    }

    /// The time that a claimed step is pinned to. Only under the run lock, which raises the ledger.
    ///
    /// # Errors
    /// The database's.
    pub async fn pinned_at(
        &self,
        session: &mut dyn Session,
        version: i64,
        step: u32,
    ) -> Result<Option<String>, LedgerError> {
        let sql = self.sql("select pinned_at from [step] where version = {1} and step = {2}");
        let params = vec![version.into(), i64::from(step).into()];
        let rows = session.query(&Statement::new(sql, params)).await?;
        let pinned = rows.first().map(|row| row.optional_text(0)).transpose()?.flatten();
        Ok(pinned.map(str::to_owned))
    }

    /// How far the newest run is with this backfill. None before there is a run.
    ///
    /// # Errors
    /// The database's, and [`LedgerError::Damaged`] where there is no ledger.
    pub async fn passed(
        &self,
        session: &mut dyn Session,
        version: i64,
        step: u32,
    ) -> Result<Option<Passed>, LedgerError> {
        let sql = self.sql(
            "select r.run, g.keys_done from [run] r \
             left join [range] g on g.version = {1} and g.step = {2} \
             where r.epoch = (select max(epoch) from [run])",
        );
        let params = vec![version.into(), i64::from(step).into()];
        let rows = session.query(&Statement::new(sql, params)).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let run = first.text(0)?.to_owned();
        let mut keys = None;
        for row in &rows {
            keys = row.optional_int(1)?.map(|passed| keys.unwrap_or(0) + passed).or(keys);
        }
        Ok(Some(Passed { run, keys }))
    }

    /// Whether a run has not ended in order, of those from the one that claimed a step up to this epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn was_killed(
        &self,
        session: &mut dyn Session,
        claim: &StepRecord,
        before: i64,
    ) -> Result<bool, LedgerError> {
        let sql = self.sql(
            "select count(*) from [run] where ended_at is null and epoch < {1} \
             and epoch >= (select epoch from [run] where run = {2})",
        );
        let params = vec![before.into(), claim.run.as_str().into()];
        let rows = session.query(&Statement::new(sql, params)).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))? > 0)
    }

    /// The newest run, if it hasn't ended in order: who holds the lock, when somebody does.
    ///
    /// # Errors
    /// The database's.
    pub async fn leader(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<RunRecord>, LedgerError> {
        if self.version(session).await?.is_none() {
            return Ok(None);
        }
        let sql = self.sql(
            "select run, epoch, host, pid, started_at, ended_at, outcome from [run] \
             order by epoch desc limit 1",
        );
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        let newest = rows.first().map(run).transpose()?;
        Ok(newest.filter(|run| run.ended_at.is_none()))
    }
}

/// Each range begins where another one ends, the first one before all keys. Keys between two ranges
/// would be passed by, and those of both be done twice.
fn in_order(mut ranges: Vec<RangeRecord>) -> Result<Vec<RangeRecord>, LedgerError> {
    let mut ordered: Vec<RangeRecord> = Vec::with_capacity(ranges.len());
    while !ranges.is_empty() {
        let end = ordered.last().map_or(&Cursor::START, |last| &last.through);
        let Some(next) = ranges.iter().position(|range| range.start == *end) else {
            let fault = format!("the ranges of step {} don't adjoin", ranges[0].step);
            return Err(LedgerError::Damaged { fault });
        };
        ordered.push(ranges.swap_remove(next));
    }
    Ok(ordered)
}

pub(super) fn small(row: &Row, index: usize) -> Result<u32, LedgerError> {
    let value = row.int(index)?;
    u32::try_from(value)
        .map_err(|_| LedgerError::Damaged { fault: format!("{value} is no number of a step") })
}

fn step(row: &Row) -> Result<StepRecord, LedgerError> {
    let state = row.text(4)?;
    let done = match state {
        "done" => true,
        "running" => false,
        other => return Err(LedgerError::Damaged { fault: format!("a step is {other:?}") }),
    };
    Ok(StepRecord {
        version: row.int(0)?,
        step: small(row, 1)?,
        kind: row.text(2)?.to_owned(),
        checksum: row.text(3)?.to_owned(),
        done,
        run: row.text(5)?.to_owned(),
        began_at: row.text(6)?.to_owned(),
        took_ms: row.int(7)?,
    })
}

fn range(version: i64, step: u32, row: &Row) -> Result<RangeRecord, LedgerError> {
    let cursor = |text: &str| {
        Cursor::decode(text)
            .ok_or_else(|| LedgerError::Damaged { fault: format!("{text:?} is no cursor") })
    };
    Ok(RangeRecord {
        version,
        step,
        number: small(row, 0)?,
        start: cursor(row.optional_text(7)?.unwrap_or_default())?,
        cursor: cursor(row.text(1)?)?,
        through: cursor(row.text(2)?)?,
        epoch: row.int(3)?,
        owner: row.text(8)?.to_owned(),
        keys_done: row.int(4)?,
        keys_total: row.optional_int(5)?,
        key: row.optional_text(6)?.map(str::to_owned),
    })
}

fn run(row: &Row) -> Result<RunRecord, DbError> {
    Ok(RunRecord {
        run: row.text(0)?.to_owned(),
        epoch: row.int(1)?,
        host: row.text(2)?.to_owned(),
        pid: row.int(3)?,
        started_at: row.text(4)?.to_owned(),
        ended_at: row.optional_text(5)?.map(str::to_owned),
        outcome: row.optional_text(6)?.map(str::to_owned),
    })
}
