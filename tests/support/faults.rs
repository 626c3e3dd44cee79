//! A database that dies at a chosen moment: a decorator around any other, for crashes at every
//! point of a run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockkeeper::db::{
    Canceller, Column, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Reading, Row,
    Session, Statement, Table, TableName,
};

/// On which side of the chosen write the fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It doesn't happen.
    Before,
    /// It happens, and nobody learns of it.
    After,
}

/// A database whose process dies at its n-th write.
///
/// Writes are the calls of [`Session::transact`] and [`Session::bare`] on sessions that were opened
/// for [`Purpose::Work`]. From the fault on, every call on anything that came from here fails as
/// [`ErrorKind::Connection`]. A write that the inner database itself refuses is passed on, and is
/// no fault.
pub struct Faults {
    inner: Arc<dyn Database>,
    state: Arc<State>,
}

struct State {
    fault: Option<(u64, Moment)>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    writes: u64,
    dead: bool,
}

impl Faults {
    /// One that dies at write `nth`, counted from 1.
    pub fn at(inner: Arc<dyn Database>, nth: u64, moment: Moment) -> Arc<Faults> {
        Faults::new(inner, Some((nth, moment)))
    }

    /// One that only counts.
    pub fn none(inner: Arc<dyn Database>) -> Arc<Faults> {
        Faults::new(inner, None)
    }

    fn new(inner: Arc<dyn Database>, fault: Option<(u64, Moment)>) -> Arc<Faults> {
        let state = Arc::new(State { fault, counts: Mutex::default() });
        Arc::new(Faults { inner, state })
    }

    /// How many writes were asked for so far.
    pub fn writes(&self) -> u64 {
        self.state.counts(|counts| counts.writes)
    }

    /// Whether the fault has come.
    pub fn died(&self) -> bool {
        self.state.counts(|counts| counts.dead)
    }
}

impl State {
    fn counts<T>(&self, with: impl FnOnce(&mut Counts) -> T) -> T {
        with(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn alive(&self) -> Result<(), DbError> {
        if self.counts(|counts| counts.dead) { Err(dead(ErrorKind::Connection)) } else { Ok(()) }
    }

    /// Counts a write; the moment of its fault, when it is the one.
    fn write(&self) -> Result<Option<Moment>, DbError> {
        self.alive()?;
        let number = self.counts(|counts| {
            counts.writes += 1;
            counts.writes
        });
        Ok(self.fault.filter(|(nth, _)| *nth == number).map(|(_, moment)| moment))
    }

    fn die(&self, kind: ErrorKind) -> DbError {
        self.counts(|counts| counts.dead = true);
        dead(kind)
    }
}

fn dead(kind: ErrorKind) -> DbError {
    DbError::new(kind, "a fault of the test's")
}

#[async_trait]
impl Database for Faults {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn description(&self) -> &str {
        self.inner.description()
    }

    fn schema(&self) -> &str {
        self.inner.schema()
    }

    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        self.state.alive()?;
        let works = matches!(purpose, Purpose::Work { .. });
        let inner = self.inner.session(purpose).await?;
        Ok(Box::new(FaultySession { inner, works, state: self.state.clone() }))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        self.state.alive()?;
        let inner = self.inner.locker().await?;
        Ok(Box::new(FaultyLocker { inner, state: self.state.clone() }))
    }

    fn lease(&self) -> Option<Duration> {
        self.inner.lease()
    }

    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError> {
        self.inner.is_locked(session).await
    }

    async fn end_orphans(&self, run: &str) -> Result<u64, DbError> {
        self.state.alive()?;
        self.inner.end_orphans(run).await
    }

    async fn end_sessions(&self, run: &str) -> Result<(), DbError> {
        self.state.alive()?;
        self.inner.end_sessions(run).await
    }
}

struct FaultySession {
    inner: Box<dyn Session>,
    works: bool,
    state: Arc<State>,
}

impl FaultySession {
    /// The moment of the fault of a write that is about to be made.
    fn write(&self) -> Result<Option<Moment>, DbError> {
        if self.works { self.state.write() } else { self.state.alive().map(|()| None) }
    }
}

#[async_trait]
impl Session for FaultySession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.state.alive()?;
        self.inner.query(statement).await
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let moment = self.write()?;
        if moment == Some(Moment::Before) {
            return Err(self.state.die(ErrorKind::Connection));
        }
        let affected = self.inner.transact(statements).await?;
        match moment {
            Some(_) => Err(self.state.die(ErrorKind::CommitUnknown)),
            None => Ok(affected),
        }
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        let moment = self.write()?;
        if moment == Some(Moment::Before) {
            return Err(self.state.die(ErrorKind::Connection));
        }
        let affected = self.inner.bare(sql).await?;
        match moment {
            Some(_) => Err(self.state.die(ErrorKind::Connection)),
            None => Ok(affected),
        }
    }

    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        self.state.alive()?;
        self.inner.table(name).await
    }

    async fn columns(&mut self, name: &TableName) -> Result<Vec<Column>, DbError> {
        self.state.alive()?;
        self.inner.columns(name).await
    }

    async fn has_table(&mut self, name: &TableName) -> Result<bool, DbError> {
        self.state.alive()?;
        self.inner.has_table(name).await
    }

    async fn reading(&mut self, names: &[String]) -> Result<Reading, DbError> {
        self.state.alive()?;
        self.inner.reading(names).await
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::new(FaultyCanceller { inner: self.inner.canceller(), state: self.state.clone() })
    }
}

struct FaultyCanceller {
    inner: Arc<dyn Canceller>,
    state: Arc<State>,
}

#[async_trait]
impl Canceller for FaultyCanceller {
    async fn cancel(&self) -> Result<(), DbError> {
        self.state.alive()?;
        self.inner.cancel().await
    }
}

/// The lock of a process that died ends with its connection, so with this value; not before, and
/// not by an orderly unlock.
struct FaultyLocker {
    inner: Box<dyn Locker>,
    state: Arc<State>,
}

#[async_trait]
impl Locker for FaultyLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        self.state.alive()?;
        self.inner.try_lock().await
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        self.state.alive()?;
        self.inner.still_held().await
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        self.state.alive()?;
        self.inner.unlock().await
    }
}
