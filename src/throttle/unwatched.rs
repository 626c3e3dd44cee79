//! Replicas of a MySQL or MariaDB whose lag nobody watches: the primary doesn't know it.

use std::time::Duration;

use async_trait::async_trait;

use crate::db::{DbError, Session, Statement};

use super::signal::{Notice, Signal, SignalError};
use super::{Line, Reading};

/// They are told of once; more need not be read.
const INTERVAL: Duration = Duration::from_secs(600);
/// One that fetches the log is a session; others' are shown to who has the right PROCESS. MariaDB counts
/// them for everybody.
const SESSIONS: &str =
    "select count(*) from information_schema.processlist where command like 'Binlog Dump%'";
const COUNTED: &str = "show global status like 'Slaves_connected'";

/// Tells that there are replicas, if there are any.
#[derive(Default)]
pub struct Unwatched {
    are_there: bool,
}

#[async_trait]
impl Signal for Unwatched {
    fn name(&self) -> &'static str {
        "replicas"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn left_out_by(&self) -> Option<&'static str> {
        Some("--max-lag off")
    }

    fn notice(&self) -> Option<Notice> {
        self.are_there.then_some(Notice {
            message: "this server has replicas, whose lag isn't watched",
            next: "give --replica-url, once for each of them, or `--max-lag off` if that is meant",
        })
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        match are_there(session).await {
            Ok(are_there) => self.are_there = are_there,
            Err(error) if error.is_lost() => return Err(error.into()),
            // It is for a warning alone.
            Err(_) => {}
        }
        Ok(None)
    }
}

async fn are_there(session: &mut dyn Session) -> Result<bool, DbError> {
    let counted = session.query(&Statement::new(COUNTED, Vec::new())).await?;
    let counted = counted.first().map(|row| row.text(1)).transpose()?;
    if counted.is_some_and(|count| count != "0") {
        return Ok(true);
    }
    let sessions = session.query(&Statement::new(SESSIONS, Vec::new())).await?;
    Ok(sessions.first().map_or(Ok(0), |row| row.int(0))? > 0)
}
