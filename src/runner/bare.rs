//! Bare steps: one statement outside any transaction, between a claim and its completion.

use std::time::Instant;

use crate::db::ErrorKind;
use crate::progress::Event;
use crate::worker::Worker;

use super::RunError;
use super::steps::{At, Steps};

impl Steps<'_> {
    /// Claims, runs, completes: three commits, since the statement makes its own. A process that
    /// dies between them leaves the claim, and with it a question that only a human can answer.
    pub(super) async fn bare(&mut self, worker: &mut Worker, at: At<'_>) -> Result<(), RunError> {
        let version = at.migration.version;
        self.reporter.emit(Event::StepStarted { version, step: at.number, backfill: None });
        let sql = &at.migration.text[at.step.statements[0].clone()];
        let claim = self.pen.claim(version, at.number, at.step.kind.as_str(), &at.step.checksum);
        worker.transact(&claim).await?;
        let started = Instant::now();
        if let Err(error) = worker.bare(sql).await {
            if !error.is_lost() {
                // The server says that it did not happen.
                worker.transact(&self.pen.unclaim(version, at.number)).await?;
            }
            if self.stop.is_requested() && error.kind == ErrorKind::Cancelled {
                return Err(self.stopped());
            }
            return Err(self.failed(at, error, None));
        }
        let mut list = self.pen.complete(version, at.number, started.elapsed());
        self.enter_history(&mut list, at);
        worker.transact(&list).await?;
        Ok(())
    }
}
