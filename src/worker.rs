//! A session that writes for a run: it can be stopped from outside, and comes back after a cut.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{
    Database, DbError, Engine, ErrorKind, Purpose, Row, Session, Statement, Table, TableName,
};
use crate::stop::Stop;

/// A session that writes for a run.
pub struct Worker {
    database: Arc<dyn Database>,
    session: Box<dyn Session>,
    run: String,
    stop: Stop,
    patience: Duration,
    settings: Vec<String>,
}

/// What a worker is opened from.
#[derive(Clone)]
pub struct Origin {
    database: Arc<dyn Database>,
    run: String,
    stop: Stop,
    patience: Duration,
    settings: Vec<String>,
}

impl Origin {
    /// One more worker of the same run, its session with the same settings.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(self) -> Result<Worker, DbError> {
        let mut worker = Worker::open(self.database, &self.run, self.stop, self.patience).await?;
        worker.settings = self.settings;
        worker.set_again().await?;
        Ok(worker)
    }
}

impl Worker {
    /// Opens the session. When it is cut, it is tried to be made anew for as long as `patience`.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(
        database: Arc<dyn Database>,
        run: &str,
        stop: Stop,
        patience: Duration,
    ) -> Result<Self, DbError> {
        let session = database.session(Purpose::Work { run: run.to_owned() }).await?;
        let (run, settings) = (run.to_owned(), Vec::new());
        Ok(Worker { database, session, run, stop, patience, settings })
    }

    /// The database that it works on.
    pub fn database(&self) -> &dyn Database {
        self.database.as_ref()
    }

    /// What another one like this is opened from.
    pub fn origin(&self) -> Origin {
        Origin {
            database: self.database.clone(),
            run: self.run.clone(),
            stop: self.stop.clone(),
            patience: self.patience,
            settings: self.settings.clone(),
        }
    }

    /// The session itself, for reads that need no guard.
    pub fn session(&mut self) -> &mut dyn Session {
        self.session.as_mut()
    }

    /// [`Session::transact`], cancelled in the server when the stop is forced.
    ///
    /// # Errors
    /// As there.
    pub async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::CommitUnknown;
        guarded(&self.stop, canceller, lost, self.session.transact(statements)).await
    }

    /// [`Session::bare`], cancelled in the server when the stop is forced.
    ///
    /// # Errors
    /// As there.
    pub async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.stop, canceller, lost, self.session.bare(sql)).await
    }

    /// [`Session::query`], cancelled in the server when the stop is forced.
    ///
    /// # Errors
    /// As there.
    pub async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.stop, canceller, lost, self.session.query(statement)).await
    }

    /// [`Session::table`].
    ///
    /// # Errors
    /// As there.
    pub async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        self.session.table(name).await
    }

    /// Keeps in mind what a file has set for its session, so that a new one can be given the same:
    /// without its `search_path`, a statement may well find another table of the same name.
    pub fn remember(&mut self, settings: impl IntoIterator<Item = String>) {
        self.settings.extend(settings);
    }

    /// A fresh session, without anything that a file has set.
    ///
    /// # Errors
    /// As [`Worker::renew`].
    pub async fn start_afresh(&mut self) -> Result<(), DbError> {
        self.settings.clear();
        self.renew().await
    }

    /// Replaces the session by a new one with the same settings, with back-off while the server
    /// isn't there.
    ///
    /// # Errors
    /// The last error when patience ran out or a stop was asked for.
    pub async fn renew(&mut self) -> Result<(), DbError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let purpose = Purpose::Work { run: self.run.clone() };
            match self.database.session(purpose).await {
                Ok(session) => {
                    self.session = session;
                    return self.set_again().await;
                }
                Err(error)
                    if !error.is_unreachable()
                        || self.stop.is_requested()
                        || started.elapsed() > self.patience =>
                {
                    return Err(error);
                }
                Err(_) => self.stop.sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

impl Worker {
    /// Sets again what the file has set, where our own settings, taken back to the defaults, took
    /// it along.
    ///
    /// # Errors
    /// The database's.
    pub async fn restore(&mut self) -> Result<(), DbError> {
        // PostgreSQL's settings are constants, and their order counts (RESET ALL). Elsewhere some
        // can't be run twice on one session: ATTACH, SET @n = @n + 1.
        let ours = match self.database.dialect().engine {
            Engine::Postgres => "",
            Engine::MySql => "lock_wait_timeout",
            Engine::Sqlite => "busy_timeout",
        };
        let settings = self.settings.iter();
        for sql in settings.filter(|sql| sql.to_ascii_lowercase().contains(ours)) {
            self.session.bare(sql).await?;
        }
        Ok(())
    }

    async fn set_again(&mut self) -> Result<(), DbError> {
        for sql in &self.settings {
            self.session.bare(sql).await?;
        }
        Ok(())
    }
}

/// How long an answer may still take that was open when another connection was cut. A failover may
/// swallow the packets of one that still looks open, and nobody would ever answer.
const ANSWER: Duration = Duration::from_secs(30);

async fn guarded<T>(
    stop: &Stop,
    canceller: Arc<dyn crate::db::Canceller>,
    lost: ErrorKind,
    work: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = stop.forced() => {}
        () = silence(stop) => return Err(DbError::new(lost, "no answer since a connection was cut")),
    }
    // When the cancel can't be delivered, the process ends at the stop timeout, and the server
    // rolls back as it notices.
    let cancel = canceller.cancel();
    let (_, done) = tokio::join!(cancel, work);
    done
}

async fn silence(stop: &Stop) {
    stop.cut().await;
    tokio::time::sleep(ANSWER).await;
}
