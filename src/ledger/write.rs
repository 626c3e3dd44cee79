//! What a run writes: every list that commits carries the fence.

use std::time::Duration;

use crate::db::{Session, Statement, Stopwatch, Value, millis};
use crate::history::now;

use super::{Cursor, Identity, Ledger, LedgerError, Pen, RangeRecord};

impl Ledger {
    /// Enters a new run and takes the next epoch, from which moment no older run can write.
    ///
    /// # Errors
    /// The database's; [`crate::db::ErrorKind::Fenced`] when another run did so at the same moment, which
    /// the run lock should have prevented.
    pub async fn begin(
        &self,
        session: &mut dyn Session,
        identity: &Identity,
    ) -> Result<Pen, LedgerError> {
        let current = self.sql("select epoch from [control] where id = 1");
        let rows = session.query(&Statement::new(current, Vec::new())).await?;
        let row = rows.first().ok_or_else(|| LedgerError::Damaged {
            fault: "its control row is missing".to_owned(),
        })?;
        let before = row.int(0)?;
        let epoch = before + 1;
        let raise = self.sql("update [control] set epoch = {1} where id = 1 and epoch = {2}");
        let enter = self.sql(
            "insert into [run] (run, epoch, host, pid, started_at) values ({1}, {2}, {3}, {4}, {5})",
        );
        let params = vec![
            identity.run.as_str().into(),
            epoch.into(),
            identity.host.as_str().into(),
            i64::from(identity.pid).into(),
            now().into(),
        ];
        session
            .transact(&[
                Statement::new(raise, vec![epoch.into(), before.into()]).must_affect(1),
                Statement::new(enter, params),
                Statement::new(
                    self.sql("delete from [member] where epoch < {1}"),
                    vec![epoch.into()],
                ),
            ])
            .await?;
        let (ledger, run) = (self.clone(), identity.run.clone());
        Ok(Pen { ledger, run, epoch, owner: String::new() })
    }
}

impl Pen {
    /// The ledger that it writes to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The run's epoch, by which it is told from those before and after it.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Enters how the run ended. An older run is left alone.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(&self, session: &mut dyn Session, outcome: &str) -> Result<(), LedgerError> {
        let sql = self.ledger.sql("update [run] set ended_at = {1}, outcome = {2} where run = {3}");
        let params = vec![now().into(), outcome.into(), self.run.as_str().into()];
        session.transact(&[Statement::new(sql, params)]).await?;
        Ok(())
    }

    /// The fence: affects its one row only in the newest run's hands, and holds it until the commit,
    /// so that a successor's epoch waits for the open transaction, and a transaction that is late
    /// finds the epoch gone.
    pub fn fence(&self) -> Statement {
        let sql = self.ledger.sql("update [control] set epoch = {1} where id = 1 and epoch = {2}");
        Statement::new(sql, vec![self.epoch.into(), self.epoch.into()]).must_affect(1)
    }

    /// Claims a step: committed before work whose outcome might stay unknown.
    pub fn claim(&self, version: i64, step: u32, kind: &str, checksum: &str) -> Vec<Statement> {
        self.enter(version, step, kind, checksum, ("running", None))
    }

    /// Gives a claim back: the work is known not to have happened.
    pub fn unclaim(&self, version: i64, step: u32) -> Vec<Statement> {
        vec![self.fence(), self.forget("step", version, step)]
    }

    /// Enters a step as done that was not claimed: it commits in the same transaction as its work,
    /// which has taken as long as the list until here. The stopwatch shows how long that was.
    pub fn done(
        &self,
        version: i64,
        step: u32,
        kind: &str,
        checksum: &str,
        stopwatch: &Stopwatch,
    ) -> Vec<Statement> {
        self.enter(version, step, kind, checksum, ("done", Some(stopwatch)))
    }

    /// Completes a claimed step, and forgets its ranges. While one of them isn't done, it is fenced.
    pub fn complete(&self, version: i64, step: u32, took: Duration) -> Vec<Statement> {
        let sql = self.ledger.sql(
            "update [step] set state = 'done', run = {1}, took_ms = took_ms + {2} \
             where version = {3} and step = {4} \
             and not exists (select 1 from [range] where version = {5} and step = {6})",
        );
        let at: [Value; 2] = [version.into(), i64::from(step).into()];
        let params = [&[self.run.as_str().into(), millis(took).into()], &at[..], &at[..]].concat();
        vec![
            self.fence(),
            self.forget_done(version, step),
            Statement::new(sql, params).must_affect(1),
        ]
    }

    /// Enters the time that a claimed step is pinned to.
    pub fn pin(&self, version: i64, step: u32, pinned_at: &str) -> Statement {
        let sql =
            self.ledger.sql("update [step] set pinned_at = {1} where version = {2} and step = {3}");
        Statement::new(sql, vec![pinned_at.into(), version.into(), i64::from(step).into()])
    }

    /// Adds the time that an interrupted run spent on a step.
    pub fn spent(&self, version: i64, step: u32, took: Duration) -> Vec<Statement> {
        let sql = self
            .ledger
            .sql("update [step] set took_ms = took_ms + {1} where version = {2} and step = {3}");
        let params = vec![millis(took).into(), version.into(), i64::from(step).into()];
        vec![self.fence(), Statement::new(sql, params)]
    }

    /// Makes a backfill's ranges along `key`, owned by this run: each from the end of the one before
    /// through a key, with its estimated number of keys.
    pub fn open_ranges(
        &self,
        version: i64,
        step: u32,
        key: &str,
        ranges: &[(Cursor, Option<u64>)],
    ) -> Vec<Statement> {
        let mut statements = vec![self.forget("range", version, step)];
        let mut start = Cursor::START;
        for (number, (through, total)) in (1..).zip(ranges) {
            let range = RangeRecord {
                version,
                step,
                number,
                start: start.clone(),
                cursor: start,
                through: through.clone(),
                epoch: self.epoch,
                owner: String::new(),
                keys_done: 0,
                keys_total: total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
                key: Some(key.to_owned()),
            };
            statements.push(self.open_range(&range));
            start = range.through;
        }
        statements
    }

    /// Splits a range that is at `from`: the rest of its keys become the new range `rest`.
    pub fn split_range(&self, from: &RangeRecord, rest: &RangeRecord) -> Vec<Statement> {
        let shorten = self.ledger.sql(
            "update [range] set through_key = {1}, keys_total = {2} \
             where version = {3} and step = {4} and number = {5} and cursor_key = {6} \
             and through_key = {7} and epoch = {8} and owner = {9}",
        );
        let kept = from.keys_total.zip(rest.keys_total).map(|(total, rest)| total - rest);
        let params = vec![
            rest.start.encode().into(),
            kept.into(),
            from.version.into(),
            i64::from(from.step).into(),
            i64::from(from.number).into(),
            from.cursor.encode().into(),
            from.through.encode().into(),
            self.epoch.into(),
            self.owner.as_str().into(),
        ];
        // With the fence: a successor that adopts the ranges might not see the new one yet.
        vec![self.fence(), Statement::new(shorten, params).must_affect(1), self.open_range(rest)]
    }

    fn open_range(&self, range: &RangeRecord) -> Statement {
        let sql = self.ledger.sql(
            "insert into [range] (version, step, number, start_key, cursor_key, through_key, epoch, \
             owner, keys_done, keys_total, key_columns) \
             values ({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11})",
        );
        let params = vec![
            range.version.into(),
            i64::from(range.step).into(),
            i64::from(range.number).into(),
            range.start.encode().into(),
            range.cursor.encode().into(),
            range.through.encode().into(),
            self.epoch.into(),
            range.owner.as_str().into(),
            range.keys_done.into(),
            range.keys_total.into(),
            range.key.as_deref().into(),
        ];
        Statement::new(sql, params)
    }

    /// Has the backfill of these ranges, which are all done, pass its rows once more: as `range`. While
    /// one of them isn't done, it is fenced.
    pub fn pass_again(&self, range: &RangeRecord) -> Vec<Statement> {
        let at: [Value; 2] = [range.version.into(), i64::from(range.step).into()];
        let guard = self.ledger.sql(
            "update [step] set state = state where version = {1} and step = {2} \
             and not exists (select 1 from [range] where version = {3} and step = {4})",
        );
        vec![
            self.fence(),
            self.forget_done(range.version, range.step),
            Statement::new(guard, [&at[..], &at[..]].concat()).must_affect(1),
            self.open_range(range),
        ]
    }

    /// Forgets the ranges of a backfill that is given up.
    pub fn close_ranges(&self, version: i64, step: u32) -> Statement {
        self.forget("range", version, step)
    }

    /// Takes over a backfill's ranges, from an earlier run and from whoever helped it. Waits for their
    /// open batches, if any: a range's row is locked by its batch.
    pub fn adopt_ranges(&self, version: i64, step: u32) -> Vec<Statement> {
        let sql = "update [range] set epoch = {1}, owner = '' where version = {2} and step = {3}";
        let params = vec![self.epoch.into(), version.into(), i64::from(step).into()];
        vec![self.fence(), Statement::new(self.ledger.sql(sql), params)]
    }

    /// Moves a range's cursor by compare-and-swap: the checkpoint of a batch, and its fence. What is
    /// known of how many keys the range has goes along.
    pub fn advance(&self, range: &RangeRecord, to: &Cursor, keys: u64) -> Statement {
        let sql = self.ledger.sql(
            "update [range] set cursor_key = {1}, keys_done = keys_done + {2}, keys_total = {3} \
             where version = {4} and step = {5} and number = {6} and cursor_key = {7} \
             and through_key = {8} and epoch = {9} and owner = {10}",
        );
        let params = vec![
            to.encode().into(),
            i64::try_from(keys).unwrap_or(i64::MAX).into(),
            range.keys_total.into(),
            range.version.into(),
            i64::from(range.step).into(),
            i64::from(range.number).into(),
            range.cursor.encode().into(),
            range.through.encode().into(),
            self.epoch.into(),
            self.owner.as_str().into(),
        ];
        Statement::new(sql, params).must_affect(1)
    }

    /// Whether a range still belongs to this run, or to who helps it.
    pub fn is_of_run(&self, range: &RangeRecord) -> bool {
        range.epoch == self.epoch
    }

    /// Whether a range is to be worked on by this process.
    pub fn owns(&self, range: &RangeRecord) -> bool {
        self.is_of_run(range) && range.owner == self.owner
    }

    fn enter(
        &self,
        version: i64,
        step: u32,
        kind: &str,
        checksum: &str,
        (state, stopwatch): (&str, Option<&Stopwatch>),
    ) -> Vec<Statement> {
        let sql = self.ledger.sql(
            "insert into [step] (version, step, kind, checksum, state, run, began_at, took_ms) \
             values ({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8})",
        );
        let mut params: Vec<Value> = vec![
            version.into(),
            i64::from(step).into(),
            kind.into(),
            checksum.into(),
            state.into(),
            self.run.as_str().into(),
            now().into(),
        ];
        let enter = match stopwatch {
            Some(stopwatch) => Statement::new(sql, params).timed(stopwatch),
            None => {
                params.push(0.into());
                Statement::new(sql, params)
            }
        };
        vec![self.fence(), self.forget("step", version, step), enter]
    }

    fn forget_done(&self, version: i64, step: u32) -> Statement {
        let sql = self.ledger.sql(
            "delete from [range] where version = {1} and step = {2} and cursor_key = through_key",
        );
        Statement::new(sql, vec![version.into(), i64::from(step).into()])
    }

    pub(super) fn forget(&self, table: &str, version: i64, step: u32) -> Statement {
        let sql = format!("delete from [{table}] where version = {{1}} and step = {{2}}");
        Statement::new(self.ledger.sql(&sql), vec![version.into(), i64::from(step).into()])
    }
}
