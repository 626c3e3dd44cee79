//! Waiting for the run lock, where there is no plan that another run could do meanwhile.

use std::time::{Duration, Instant};

use crate::db::{Purpose, Session};
use crate::ledger::Ledger;
use crate::progress::{Event, Holder};
use crate::runner::{Held, Keeper, RunError, holder};

use super::observe::Observer;
use super::{ForeignError, Tool};

/// Between two tries for the lock.
const POLL: Duration = Duration::from_millis(500);

impl Tool<'_> {
    /// Tries for the lock until it is ours or the wait is over. `None` where another run has done all of it
    /// meanwhile. A server that is away may come back: nothing is at stake yet.
    pub(super) async fn queue(&self) -> Result<Option<Held>, ForeignError> {
        let started = Instant::now();
        let waiting = async {
            let mut is_away = false;
            loop {
                match self.wait(started, is_away).await {
                    Err(ForeignError::Run(RunError::Db(error)))
                        if error.is_lost() && started.elapsed() < self.settings.lock_wait =>
                    {
                        is_away = true;
                        self.reporter.emit(Event::Unreachable { reason: error.to_string() });
                        tokio::time::sleep(POLL).await;
                    }
                    result => return result,
                }
            }
        };
        tokio::select! {
            biased;
            () = self.stop.requested() => {
                Err(RunError::Stopped { reason: self.stop.reason().to_owned() }.into())
            }
            held = waiting => held,
        }
    }

    /// The same, for as long as the server answers. What was opened before has gone with it.
    async fn wait(&self, started: Instant, was_away: bool) -> Result<Option<Held>, ForeignError> {
        let mut session = self.database.session(Purpose::Wait).await?;
        if was_away {
            let database = self.database.description().to_owned();
            self.reporter.emit(Event::Connected { database });
        }
        if self.is_done(session.as_mut()).await? {
            return Ok(None);
        }
        self.try_for_lock(session.as_mut(), started).await
    }

    async fn try_for_lock(
        &self,
        session: &mut dyn Session,
        started: Instant,
    ) -> Result<Option<Held>, ForeignError> {
        let mut locker = self.database.locker().await?;
        let mut onlooker = None;
        while !locker.try_lock().await? {
            if self.is_done(session).await? {
                return Ok(None);
            }
            let holder = self.holder(session).await?;
            let patience = self.settings.lock_wait;
            if started.elapsed() >= patience {
                return Err(RunError::LockHeld { holder, patience }.into());
            }
            if onlooker.is_none() {
                let run = &self.settings.identity.run;
                onlooker = Some(Observer::open(self.database.as_ref(), session, run).await?);
            }
            if let (Some(Some(onlooker)), Some(holder)) = (&onlooker, &holder) {
                self.look_at(onlooker, session, &holder.run).await?;
            }
            self.reporter.emit(Event::LockWaiting { holder, leader: None, helps: false });
            tokio::time::sleep(POLL.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        }
        Ok(Some(Held::keep(Keeper {
            database: self.database.clone(),
            locker: Some(locker),
            run: self.settings.identity.run.clone(),
            patience: Duration::ZERO,
            stop: self.stop.clone(),
        })))
    }

    async fn is_done(&self, session: &mut dyn Session) -> Result<bool, ForeignError> {
        let Some(mark) = &self.settings.mark else { return Ok(false) };
        Ok(Ledger::of(self.database.as_ref()).is_marked(session, mark).await?)
    }

    async fn holder(&self, session: &mut dyn Session) -> Result<Option<Holder>, ForeignError> {
        Ok(Ledger::of(self.database.as_ref()).leader(session).await?.map(holder))
    }

    /// What the tool of the run is at that has the lock.
    async fn look_at(
        &self,
        onlooker: &Observer,
        session: &mut dyn Session,
        run: &str,
    ) -> Result<(), ForeignError> {
        let theirs = onlooker.of_run(self.database.as_ref(), run);
        let seen = theirs.look(session, &[]).await?;
        let sessions = seen.into_iter().map(|seen| seen.session).collect();
        self.reporter.emit(Event::ForeignSeen { sessions });
        Ok(())
    }
}
