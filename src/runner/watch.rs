//! Waiting for the schema without taking the run lock or writing anything: another run brings it there.

use std::time::Duration;

use crate::db::{DbError, Purpose, Session};
use crate::history::History;
use crate::progress::{Event, PendingMigration};

use super::lock::is_busy;
use super::{Ahead, Run, RunError, SurveyError};

/// Between two looks.
const POLL: Duration = Duration::from_millis(500);

impl Run<'_> {
    /// Ends when what was selected is applied, or this version where one is named. Reports who is at it, and
    /// how far, and whether nobody is. A server that is away may come back; how long that is waited for
    /// is for the caller to say.
    ///
    /// # Errors
    /// [`RunError::Stopped`], and what looking again wouldn't mend.
    pub async fn watch(&self, ahead: Ahead, version: Option<i64>) -> Result<(), RunError> {
        let Ahead { mut session, .. } = ahead;
        let mut told = None;
        while !self.stop.is_requested() {
            match self.is_there(session.as_mut(), version, &mut told).await {
                Ok(true) => {
                    self.reporter.emit(Event::Finished);
                    return Ok(());
                }
                Ok(false) => {}
                // A script of the run at work has the whole of SQLite's file.
                Err(error) if is_busy(&error) => {}
                Err(RunError::Db(error)) if error.is_lost() => {
                    session = self.session_anew(&error).await?;
                    continue;
                }
                Err(error) => {
                    self.reporter.emit(error.event());
                    return Err(error);
                }
            }
            self.stop.sleep(POLL.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        }
        Err(RunError::Stopped { reason: self.stop.reason().to_owned() })
    }

    /// One look.
    async fn is_there(
        &self,
        session: &mut dyn Session,
        version: Option<i64>,
        told: &mut Option<Vec<PendingMigration>>,
    ) -> Result<bool, RunError> {
        let (holder, leader) = match version {
            Some(version) => {
                let database = self.database.as_ref();
                let history = History::read(database, session, self.catalog)
                    .await
                    .map_err(SurveyError::from)?;
                if history.find(version).is_some() {
                    return Ok(true);
                }
                (super::leader(database, session).await?.holder(), None)
            }
            None => match self.follow(session, told).await? {
                Some(seen) => seen,
                None => return Ok(true),
            },
        };
        self.reporter.emit(match self.database.is_locked(session).await? {
            true => Event::LockWaiting { holder, leader, helps: false },
            false => Event::RunAwaited,
        });
        Ok(false)
    }

    /// A new session, once there is a server that gives one.
    async fn session_anew(&self, lost: &DbError) -> Result<Box<dyn Session>, RunError> {
        self.reporter.emit(Event::Unreachable { reason: lost.to_string() });
        loop {
            match self.database.session(Purpose::Wait).await {
                Ok(session) => {
                    let database = self.database.description().to_owned();
                    self.reporter.emit(Event::Connected { database });
                    return Ok(session);
                }
                Err(error) if error.is_unreachable() && !self.stop.is_requested() => {
                    self.stop.sleep(POLL).await;
                }
                Err(_) if self.stop.is_requested() => {
                    return Err(RunError::Stopped { reason: self.stop.reason().to_owned() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
