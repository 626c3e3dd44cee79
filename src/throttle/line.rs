//! The watch's way to the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::db::{ConnectOptions, Database, DbError, ErrorKind, Purpose, Session, connect_once};

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// How long the server lets a statement run that nobody has ended, such as one of a process that
/// has died. Later than who asks would end it.
const LONGEST: Duration = Duration::from_secs(4);
/// How long opening a session may take: a busy server, TLS and a long way need more than an answer.
const OPENING: Duration = Duration::from_secs(15);

type Opened = Result<(Arc<dyn Database>, Box<dyn Session>), DbError>;

/// Where a line leads.
#[derive(Clone)]
enum Way {
    /// To a database that somebody has connected to.
    To(Arc<dyn Database>),
    /// To one that is connected to when it is needed.
    By(Box<ConnectOptions>),
}

/// A session that is opened when it is needed, and again when it was lost.
pub struct Line {
    way: Way,
    session: Option<Box<dyn Session>>,
    /// The session that is being opened. It goes on when whoever asked first has given up: else a
    /// server that takes longer than an answer may would never be reached.
    opening: JoinSet<Opened>,
}

/// An answer took too long.
#[derive(Debug)]
pub(super) struct Silence;

impl Silence {
    /// As it is told.
    pub(super) const TEXT: &str = "no answer within 2 s";
}

impl Line {
    /// One to this database. Nothing is opened yet.
    pub fn new(database: &Arc<dyn Database>) -> Self {
        Line { way: Way::To(database.clone()), session: None, opening: JoinSet::new() }
    }

    /// One to the database that is reached by these options. Nothing is opened yet.
    pub fn to(options: &ConnectOptions) -> Self {
        let way = Way::By(Box::new(options.clone()));
        Line { way, session: None, opening: JoinSet::new() }
    }

    /// The session.
    ///
    /// # Errors
    /// Those of opening one.
    pub async fn session(&mut self) -> Result<&mut dyn Session, DbError> {
        if self.session.is_none() {
            if self.opening.is_empty() {
                self.opening.spawn(open(self.way.clone()));
            }
            // Whoever gives up waiting leaves the task to the next one.
            if let Some(Ok(opened)) = self.opening.join_next().await {
                let (database, session) = opened?;
                (self.way, self.session) = (Way::To(database), Some(session));
            }
        }
        match self.session.as_deref_mut() {
            Some(session) => Ok(session),
            None => Err(DbError::new(ErrorKind::Connection, "no session")),
        }
    }

    /// See [`Database::workers`].
    ///
    /// # Errors
    /// Those of opening a session, and of asking.
    pub async fn workers(&mut self) -> Result<Vec<i64>, DbError> {
        let database = self.database().await?;
        database.workers(self.session().await?).await
    }

    /// The database.
    ///
    /// # Errors
    /// Those of connecting to it.
    pub async fn database(&mut self) -> Result<Arc<dyn Database>, DbError> {
        if let Way::By(_) = self.way {
            self.session().await?;
        }
        match &self.way {
            Way::To(database) => Ok(database.clone()),
            Way::By(_) => Err(DbError::new(ErrorKind::Connection, "no session")),
        }
    }

    /// Hangs up. Whatever failed, a new session is the better one to ask again.
    pub fn hang_up(&mut self) {
        self.session = None;
    }

    /// Hangs up on what may still be running. A server looks for its client only when it has
    /// something to say, so what was asked would go on, and each new try add one more of it.
    pub async fn break_off(&mut self) {
        if let Some(session) = self.session.take() {
            // A server that takes no order any more hasn't got a session for the next try either.
            let _ = in_time(session.canceller().cancel()).await;
        }
    }
}

async fn open(way: Way) -> Opened {
    let opening = async {
        let database = match way {
            Way::To(database) => database,
            // Whether a pooler gives the session on to others isn't known there, and so nothing is set.
            Way::By(options) => {
                let database = connect_once(&options, OPENING).await?;
                let session = database.session(Purpose::Watch).await?;
                return Ok((database, session));
            }
        };
        let mut session = database.session(Purpose::Watch).await?;
        if let Some(sql) = database.dialect().set_statement_timeout(LONGEST) {
            // Where the server doesn't know it, what is asked is still cancelled.
            session.set(&sql).await.ok();
        }
        Ok((database, session))
    };
    let silent = |_| Err(DbError::new(ErrorKind::Connection, "no answer"));
    tokio::time::timeout(OPENING, opening).await.unwrap_or_else(silent)
}

/// Waits for the answer as long as one is waited for.
pub(super) async fn in_time<T>(asking: impl Future<Output = T>) -> Result<T, Silence> {
    within(ANSWER, asking).await
}

/// The same, for another time.
pub(super) async fn within<T>(
    time: Duration,
    asking: impl Future<Output = T>,
) -> Result<T, Silence> {
    tokio::time::timeout(time, asking).await.map_err(|_| Silence)
}

#[cfg(test)]
mod tests;
