//! Bare steps: one statement outside any transaction, between a claim and its completion.

use std::time::{Duration, Instant};

use crate::db::{DbError, Dialect, Engine, ErrorKind, Session, Statement, whole_millis};
use crate::migration::{ConcurrentIndex, Repeat};
use crate::throttle::Turn;
use crate::worker::Worker;

use super::RunError;
use super::held::Reliance;
use super::steps::{At, Steps, passing, reset_role};

/// PostgreSQL's "relation already exists": the index there is somebody else's.
const DUPLICATE_TABLE: &str = "42P07";
/// MySQL's syntax error.
const SYNTAX: &str = "1064";

/// As long as it is there, the lock is relied on, and the run isn't paused.
type Underway = (Reliance, Turn);

impl Steps<'_> {
    /// Claims, runs, completes: three commits, since the statement makes its own. A process that
    /// dies between them leaves the claim. `resumed` says that one is there: the plan lets it pass
    /// only where the statement may be repeated, or the catalog knows. Returns the time that the
    /// record has of it.
    pub(super) async fn bare(
        &mut self,
        worker: &mut Worker,
        at: At<'_>,
        resumed: bool,
    ) -> Result<Duration, RunError> {
        let turn = self.begin(worker, at).await?;
        let started = Instant::now();
        let mut underway = self.rely(turn).await?;
        let happened = match &at.step.repeat {
            Repeat::AskIndex(index) => self.look(worker, at, index, resumed).await?,
            Repeat::AskHuman | Repeat::Freely => false,
        };
        if !happened {
            self.claim(worker, at).await?;
            underway = self.run_bare(worker, at, underway).await?;
        }
        let took = whole_millis(started.elapsed());
        self.complete(worker, at, took).await?;
        drop(underway);
        Ok(took)
    }

    /// What is under way outside a transaction, the fence can't hold back.
    async fn rely(&self, turn: Turn) -> Result<Underway, RunError> {
        let reliance = self.held.rely().await;
        reliance.map(|reliance| (reliance, turn)).ok_or_else(|| self.stopped())
    }

    /// The lock isn't relied on as long as the operator holds the next try: nothing is under way then.
    async fn next_try(
        &self,
        worker: &mut Worker,
        (reliance, turn): Underway,
    ) -> Result<Underway, RunError> {
        drop(reliance);
        let turn = self.next_turn(worker, turn).await?;
        self.rely(turn).await
    }

    /// Whether an earlier run's statement happened, of which it had no reply. What its death left
    /// half done is removed. An invalid index that isn't ours may be one that somebody is making.
    async fn look(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        index: &ConcurrentIndex,
        resumed: bool,
    ) -> Result<bool, RunError> {
        let looked = async {
            match find(worker.session(), index).await? {
                Some(found) if resumed && !found.valid => {
                    drop_index(worker, &found).await.map(drop)
                }
                Some(found) if resumed => return Ok(found.valid),
                Some(found) if !found.valid => Err(foreign(&found)),
                _ => Ok(()),
            }?;
            Ok(false)
        };
        looked.await.map_err(|error| self.ended(at, ours(error), None))
    }

    /// Nothing has run yet, so that a claim whose reply was lost is simply made again.
    async fn claim(&self, worker: &mut Worker, at: At<'_>) -> Result<(), RunError> {
        let (kind, checksum) = (at.step.kind.as_str(), at.checksum());
        let list = self.pen.claim(at.migration.version, at.number, kind, &checksum);
        let mut attempts = 0;
        while let Err(error) = worker.transact(&list).await {
            attempts += 1;
            if !error.is_lost() {
                return Err(self.ended(at, ours(error), None));
            }
            worker.renew().await?;
            if !self.may_retry(attempts) {
                self.unclaim(worker, at).await?;
                return Err(if self.stop.is_requested() { self.stopped() } else { error.into() });
            }
        }
        Ok(())
    }

    async fn run_bare(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        mut underway: Underway,
    ) -> Result<Underway, RunError> {
        let sql = &at.migration.text[at.step.statements[0].clone()];
        let mut attempts = 0;
        loop {
            let error = match worker.bare(sql).await {
                Ok(_) => return self.check(worker, at).await.map(|()| underway),
                Err(error) => error,
            };
            attempts += 1;
            if error.is_lost() {
                return Err(self.unanswered(at, error));
            }
            if !at.step.atomic && !never_began(worker.database().dialect().engine, &error) {
                // The claim stays: a part of it may be committed.
                return Err(self.half_done(at, error));
            }
            if self.is_stopped_by(&error) && at.step.repeat != Repeat::AskHuman {
                // The claim stays: the next run looks what is left of it.
                return Err(self.stopped());
            }
            if let Err(left) = self.clean_up(worker, at, &error).await {
                return Err(self.ended(at, ours(left), None));
            }
            // Before the pause, and before the operator's, which may take hours: whoever dies then leaves
            // nothing that a human would have to look at.
            self.unclaim(worker, at).await?;
            if error.is_transient() && self.may_retry(attempts) {
                self.pause(&error, attempts).await;
                if !self.stop.is_requested() {
                    underway = self.next_try(worker, underway).await?;
                    self.claim(worker, at).await?;
                    continue;
                }
            }
            return Err(self.ended(at, error, None));
        }
    }

    /// Gives the claim back: the server says that it did not happen. A forced stop, which would
    /// cancel this too, must not make the step look dirty.
    async fn unclaim(&self, worker: &mut Worker, at: At<'_>) -> Result<(), RunError> {
        let list = self.pen.unclaim(at.migration.version, at.number);
        let mut attempts = 0;
        while let Err(error) = worker.session().transact(&list).await {
            attempts += 1;
            if !error.is_lost() || attempts > 2 {
                return Err(error.into());
            }
            worker.renew().await?;
        }
        Ok(())
    }

    /// Enters the step as done. Only this process knows that it is, so it insists: neither a stop
    /// nor a lost connection makes it dirty.
    async fn complete(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        took: Duration,
    ) -> Result<(), RunError> {
        let mut list: Vec<_> = reset_role(worker, at.step).collect();
        list.extend(self.pen.complete(at.migration.version, at.number, took));
        self.enter_history(&mut list, at);
        let mut attempts = 0;
        while let Err(error) = worker.session().transact(&list).await {
            attempts += 1;
            if error.is_lost() && self.try_again(attempts) {
                worker.renew().await?;
                if self.is_done(worker, at).await? {
                    break;
                }
            } else if passing(&error) && self.try_again(attempts) {
                self.pause(&error, attempts).await;
            } else {
                return Err(self.unrecorded(at, error));
            }
        }
        Ok(())
    }

    /// Whether the reply that was lost was that it is entered.
    async fn is_done(&self, worker: &mut Worker, at: At<'_>) -> Result<bool, RunError> {
        let steps = self.pen.ledger().steps(worker.session()).await?;
        let is_this =
            |(version, step): (i64, u32)| version == at.migration.version && step == at.number;
        Ok(steps.iter().any(|found| found.done && is_this((found.version, found.step))))
    }

    /// A `CREATE INDEX CONCURRENTLY` that fails leaves an invalid index, which costs every write
    /// and serves no read. It is ours: before there was none.
    async fn clean_up(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        error: &DbError,
    ) -> Result<(), DbError> {
        let Repeat::AskIndex(index) = &at.step.repeat else { return Ok(()) };
        if error.code.as_deref() == Some(DUPLICATE_TABLE) {
            return Ok(());
        }
        match find(worker.session(), index).await? {
            Some(found) if !found.valid => drop_index(worker, &found).await,
            _ => Ok(()),
        }
    }

    /// With `IF NOT EXISTS` the server is content with an index that somebody else has just begun.
    async fn check(&self, worker: &mut Worker, at: At<'_>) -> Result<(), RunError> {
        let Repeat::AskIndex(index) = &at.step.repeat else { return Ok(()) };
        match find(worker.session(), index).await {
            Ok(Some(found)) if !found.valid => {
                self.unclaim(worker, at).await?;
                Err(self.failed(at, foreign(&found), None))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(self.ended(at, ours(error), None)),
        }
    }
}

/// The error of a query of ours: it has no place in the file.
fn ours(mut error: DbError) -> DbError {
    error.position = None;
    error
}

/// Whether the server didn't understand the statement's own text, so that not even a procedure has
/// begun. What fails within one has no place in this text.
fn never_began(engine: Engine, error: &DbError) -> bool {
    let code = error.code.as_deref().unwrap_or("");
    match engine {
        Engine::Postgres => code.starts_with("42") && error.position.is_some(),
        Engine::MySql => code == SYNTAX && error.position == Some(0),
        Engine::Sqlite => false,
    }
}

/// An index as the catalog has it.
struct Found {
    /// With its schema, quoted.
    name: String,
    valid: bool,
}

/// The index of this name on this table. An index lives in the schema of its table; one of the same
/// name elsewhere is another.
async fn find(
    session: &mut dyn Session,
    index: &ConcurrentIndex,
) -> Result<Option<Found>, DbError> {
    let table = Dialect::POSTGRES.qualified(index.table.schema.as_deref(), &index.table.name);
    let sql = "select n.nspname::text, c.relname::text, i.indisvalid from pg_index i \
               join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace \
               where i.indrelid = to_regclass($1) and c.relname = $2::text::name";
    let params = vec![table.into(), index.name.as_str().into()];
    let rows = session.query(&Statement::new(sql, params)).await?;
    let found = |row: &crate::db::Row| {
        let name = Dialect::POSTGRES.qualified(Some(row.text(0)?), row.text(1)?);
        Ok(Found { name, valid: row.int(2)? != 0 })
    };
    rows.first().map(found).transpose()
}

fn foreign(index: &Found) -> DbError {
    let name = &index.name;
    let mut error = DbError::new(
        ErrorKind::Sql,
        format!(
            "the index {name} is there already, and invalid: somebody is making it, or failed to"
        ),
    );
    error.hint = Some(format!("when nobody is at it: `drop index concurrently {name}`"));
    error
}

async fn drop_index(worker: &mut Worker, index: &Found) -> Result<(), DbError> {
    worker.bare(&format!("drop index concurrently if exists {}", index.name)).await?;
    Ok(())
}
