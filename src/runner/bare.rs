//! Bare steps: one statement outside any transaction, between a claim and its completion.

use std::time::Instant;

use crate::db::{DbError, Engine, ErrorKind, Session, Statement, TableName};
use crate::migration::Repeat;
use crate::progress::Event;
use crate::worker::Worker;

use super::RunError;
use super::steps::{At, Steps};

/// PostgreSQL's "relation already exists": the index there is somebody else's.
const DUPLICATE_TABLE: &str = "42P07";

impl Steps<'_> {
    /// Claims, runs, completes: three commits, since the statement makes its own. A process that
    /// dies between them leaves the claim. `resumed` says that one is there: the plan lets it pass
    /// only where the statement may be repeated, or the catalog knows.
    pub(super) async fn bare(
        &mut self,
        worker: &mut Worker,
        at: At<'_>,
        resumed: bool,
    ) -> Result<(), RunError> {
        let version = at.migration.version;
        self.reporter.emit(Event::StepStarted { version, step: at.number, backfill: None });
        let started = Instant::now();
        if !(resumed && self.has_happened(worker, at).await?) {
            let (kind, checksum) = (at.step.kind.as_str(), &at.step.checksum);
            worker.transact(&self.pen.claim(version, at.number, kind, checksum)).await?;
            self.run_bare(worker, at).await?;
        }
        let mut list = self.pen.complete(version, at.number, started.elapsed());
        self.enter_history(&mut list, at);
        worker.transact(&list).await?;
        Ok(())
    }

    async fn run_bare(&self, worker: &mut Worker, at: At<'_>) -> Result<(), RunError> {
        let sql = &at.migration.text[at.step.statements[0].clone()];
        let mut attempts = 0;
        loop {
            let error = match worker.bare(sql).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            attempts += 1;
            if error.is_lost() {
                return Err(self.failed(at, error, None));
            }
            let stopping = self.stop.is_requested() && error.kind == ErrorKind::Cancelled;
            if stopping && at.step.repeat != Repeat::AskHuman {
                // The claim stays: the next run looks what is left of it.
                return Err(self.stopped());
            }
            self.clean_up(worker, at, &error).await?;
            if !stopping && error.is_transient() && self.may_retry(attempts) {
                self.pause(&error, attempts).await;
                continue;
            }
            // The server says that it did not happen. A forced stop, which would cancel this too,
            // must not make the step look dirty.
            let unclaim = self.pen.unclaim(at.migration.version, at.number);
            worker.session().transact(&unclaim).await?;
            return Err(if stopping { self.stopped() } else { self.failed(at, error, None) });
        }
    }

    /// Whether an earlier run's statement happened, of which it had no reply. What its death left
    /// half done is removed.
    async fn has_happened(&self, worker: &mut Worker, at: At<'_>) -> Result<bool, RunError> {
        let Repeat::AskIndex(index) = &at.step.repeat else { return Ok(false) };
        match index_state(worker.session(), index).await? {
            Some(true) => Ok(true),
            Some(false) => {
                drop_index(worker, index).await?;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// A `CREATE INDEX CONCURRENTLY` that fails leaves an invalid index, which costs every write
    /// and serves no read.
    async fn clean_up(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        error: &DbError,
    ) -> Result<(), RunError> {
        let Repeat::AskIndex(index) = &at.step.repeat else { return Ok(()) };
        let ours = error.code.as_deref() != Some(DUPLICATE_TABLE);
        if ours && index_state(worker.session(), index).await? == Some(false) {
            drop_index(worker, index).await?;
        }
        Ok(())
    }
}

fn spelled(index: &TableName) -> String {
    let quote = |name: &str| Engine::Postgres.dialect().quote(name);
    let name = quote(&index.name);
    index.schema.as_ref().map_or(name.clone(), |schema| format!("{}.{name}", quote(schema)))
}

/// Whether an index is valid; `None` where there is none of this name.
async fn index_state(
    session: &mut dyn Session,
    index: &TableName,
) -> Result<Option<bool>, DbError> {
    let sql = "select indisvalid from pg_index where indexrelid = to_regclass($1)";
    let rows = session.query(&Statement::new(sql, vec![spelled(index).into()])).await?;
    Ok(rows.first().map(|row| row.int(0)).transpose()?.map(|valid| valid != 0))
}

async fn drop_index(worker: &mut Worker, index: &TableName) -> Result<(), DbError> {
    worker.bare(&format!("drop index concurrently if exists {}", spelled(index))).await?;
    Ok(())
}
