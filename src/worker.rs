//! A session that writes for a run: it can be stopped from outside, and comes back after a cut.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{
    Database, DbError, Engine, ErrorKind, Purpose, Row, Session, Statement, Table, TableName,
};
use crate::stop::Stop;

/// How long opening a session may take, with all that is set in it: a host that swallows packets would
/// else hold up one try for minutes.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Between two questions in a session that has nothing to do: less than what servers and what lies on
/// the way to them take for idle.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A session that writes for a run.
pub struct Worker {
    session: Box<dyn Session>,
    origin: Origin,
}

/// What a worker's sessions are opened from.
#[derive(Clone)]
pub struct Origin {
    database: Arc<dyn Database>,
    run: String,
    stop: Stop,
    patience: Duration,
    /// What the file has set.
    settings: Vec<String>,
    /// What the step at work has set on top of it.
    own: Vec<String>,
}

impl Origin {
    /// One more worker of the same run, with the same settings.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(self) -> Result<Worker, DbError> {
        Ok(Worker { session: self.session().await?, origin: self })
    }

    /// A session in which all is set that is to be: one in which only a part is, might find another
    /// table of the same name.
    async fn session(&self) -> Result<Box<dyn Session>, DbError> {
        let open = async {
            let purpose = Purpose::Work { run: self.run.clone() };
            let mut session = self.database.session(purpose).await?;
            for sql in &[&self.settings[..], &self.own].concat() {
                session.set(sql).await?;
            }
            Ok(session)
        };
        let silent = |_| Err(DbError::new(ErrorKind::Connection, "no answer"));
        tokio::select! {
            opened = tokio::time::timeout(ATTEMPT, open) => opened.unwrap_or_else(silent),
            () = self.stop.forced() => Err(DbError::new(ErrorKind::Cancelled, "stopped")),
        }
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
        let (run, settings, own) = (run.to_owned(), Vec::new(), Vec::new());
        Origin { database, run, stop, patience, settings, own }.open().await
    }

    /// The database that it works on.
    pub fn database(&self) -> &dyn Database {
        self.origin.database.as_ref()
    }

    /// What another one like this is opened from.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
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
        guarded(&self.origin.stop, canceller, lost, self.session.transact(statements)).await
    }

    /// [`Session::bare`], cancelled in the server when the stop is forced.
    ///
    /// # Errors
    /// As there.
    pub async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.origin.stop, canceller, lost, self.session.bare(sql)).await
    }

    /// [`Session::query`], cancelled in the server when the stop is forced.
    ///
    /// # Errors
    /// As there.
    pub async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.origin.stop, canceller, lost, self.session.query(statement)).await
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
        self.origin.settings.extend(settings);
    }

    /// A fresh session, without anything that a file has set.
    ///
    /// # Errors
    /// As [`Worker::renew`].
    pub async fn start_afresh(&mut self) -> Result<(), DbError> {
        self.origin.settings.clear();
        self.renew().await
    }

    /// Replaces the session by a new one with the same settings, with back-off while the server
    /// isn't there.
    ///
    /// # Errors
    /// The last error when patience ran out or a stop was asked for.
    pub async fn renew(&mut self) -> Result<(), DbError> {
        let Origin { stop, patience, .. } = &self.origin;
        let started = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match self.origin.session().await {
                Ok(session) => {
                    self.session = session;
                    return Ok(());
                }
                Err(error)
                    if !error.is_unreachable()
                        || stop.is_requested()
                        || started.elapsed() > *patience =>
                {
                    return Err(error);
                }
                Err(_) => stop.sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Waits for something, and keeps the session meanwhile: the server, or a proxy on the way, may end
    /// what is idle for long, and with it go a file's temporary tables.
    pub async fn idle<T>(&mut self, until: impl Future<Output = T>) -> T {
        tokio::pin!(until);
        loop {
            if let Ok(done) = tokio::time::timeout(KEEP_ALIVE, &mut until).await {
                return done;
            }
            // What can't be mended now is found out again by who needs the session.
            self.ensure().await.ok();
        }
    }

    /// Asks whether the session is still there, and makes it anew where it isn't.
    ///
    /// # Errors
    /// As [`Worker::renew`].
    pub async fn ensure(&mut self) -> Result<(), DbError> {
        match self.query(&Statement::new("select 1", Vec::new())).await {
            Err(error) if error.is_lost() => self.renew().await,
            asked => asked.map(drop),
        }
    }

    /// Sets something for the step at work, also in the sessions to come.
    ///
    /// # Errors
    /// The database's.
    pub async fn set(&mut self, sql: &str) -> Result<(), DbError> {
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.origin.stop, canceller, lost, self.session.set(sql)).await?;
        self.origin.own.push(sql.to_owned());
        Ok(())
    }

    /// Takes back what the step has set, by these statements, and leaves the session as the file's
    /// next step expects it.
    ///
    /// # Errors
    /// The database's.
    pub async fn reset(&mut self, resets: Vec<&'static str>) -> Result<(), DbError> {
        self.origin.own.clear();
        let canceller = self.session.canceller();
        let lost = ErrorKind::Connection;
        guarded(&self.origin.stop, canceller, lost, self.session.reset(&resets)).await?;
        self.restore().await
    }

    /// Sets again what the file has set, where our own settings, taken back to the defaults, took
    /// it along.
    async fn restore(&mut self) -> Result<(), DbError> {
        // PostgreSQL's settings are constants, and their order counts (RESET ALL). Elsewhere some
        // can't be run twice on one session: ATTACH, SET @n = @n + 1.
        let ours = match self.database().dialect().engine {
            Engine::Postgres => "",
            Engine::MySql => "lock_wait_timeout",
            Engine::Sqlite => "busy_timeout",
        };
        let settings = self.origin.settings.iter();
        for sql in settings.filter(|sql| sql.to_ascii_lowercase().contains(ours)) {
            self.session.set(sql).await?;
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
