//! The decorator that lets a database die.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lockkeeper::db::{
    Canceller, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Row, Session, Statement,
    Table, TableName,
};

use crate::support::{Faults, Moment};

/// A database that only remembers what it did.
#[derive(Default)]
struct Memory {
    done: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicU64>,
}

impl Memory {
    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }
}

#[async_trait]
impl Database for Memory {
    fn dialect(&self) -> Dialect {
        Dialect::SQLITE
    }

    fn description(&self) -> &str {
        "memory"
    }

    fn schema(&self) -> &str {
        "main"
    }

    async fn session(&self, _: Purpose) -> Result<Box<dyn Session>, DbError> {
        Ok(Box::new(MemorySession(self.done.clone())))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(MemoryLocker(self.open.clone())))
    }

    async fn is_locked(&self, _session: &mut dyn Session) -> Result<bool, DbError> {
        Ok(false)
    }

    async fn end_orphans(&self, _: &str) -> Result<u64, DbError> {
        Ok(0)
    }

    async fn end_sessions(&self, _run: &str) -> Result<(), DbError> {
        Ok(())
    }
}

struct MemorySession(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Session for MemorySession {
    async fn query(&mut self, _: &Statement) -> Result<Vec<Row>, DbError> {
        Ok(Vec::new())
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        if statements.iter().any(|statement| statement.sql == "fail") {
            return Err(DbError::new(ErrorKind::Sql, "no such thing"));
        }
        self.0.lock().unwrap().extend(statements.iter().map(|statement| statement.sql.clone()));
        Ok(vec![1; statements.len()])
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.0.lock().unwrap().push(sql.to_owned());
        Ok(1)
    }

    async fn table(&mut self, _: &TableName) -> Result<Option<Table>, DbError> {
        Ok(None)
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::new(MemoryCanceller)
    }
}

struct MemoryCanceller;

#[async_trait]
impl Canceller for MemoryCanceller {
    async fn cancel(&self) -> Result<(), DbError> {
        Ok(())
    }
}

struct MemoryLocker(Arc<AtomicU64>);

impl Drop for MemoryLocker {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Locker for MemoryLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        Ok(true)
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        Ok(true)
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        Ok(true)
    }
}

fn work() -> Purpose {
    Purpose::Work { run: "run".to_owned() }
}

/// Runs two transactions and a bare statement, as a run does, until one fails.
async fn run(database: &dyn Database) -> Result<(), DbError> {
    let mut locker = database.locker().await?;
    assert!(locker.try_lock().await?);
    let mut watch = database.session(Purpose::Watch).await?;
    watch.transact(&[Statement::script("watch")]).await?;
    let mut session = database.session(work()).await?;
    session.transact(&[Statement::script("one"), Statement::script("two")]).await?;
    session.bare("three").await?;
    session.transact(&[Statement::script("four")]).await?;
    locker.unlock().await?;
    Ok(())
}

/// At each write and on each side of it: what had happened has happened, and nothing else does.
#[tokio::test]
async fn a_database_dies_at_every_write() {
    let counting = Faults::none(Arc::new(Memory::default()));
    run(counting.as_ref()).await.expect("no fault");
    assert_eq!((counting.writes(), counting.died()), (3, false));

    let done: [&[&str]; 4] = [
        &["watch"],
        &["watch", "one", "two"],
        &["watch", "one", "two", "three"],
        &["watch", "one", "two", "three", "four"],
    ];
    for nth in 1..=3 {
        for (moment, done) in [(Moment::Before, done[nth - 1]), (Moment::After, done[nth])] {
            let memory = Arc::new(Memory::default());
            let faults = Faults::at(memory.clone(), nth as u64, moment);
            let error = run(faults.as_ref()).await.expect_err("the fault");
            let wanted = match (moment, nth) {
                (Moment::Before, _) | (Moment::After, 2) => ErrorKind::Connection,
                (Moment::After, _) => ErrorKind::CommitUnknown,
            };
            assert_eq!(error.kind, wanted, "{nth} {moment:?}");
            assert_eq!(memory.done(), done, "{nth} {moment:?}");
            assert!(faults.died() && memory.open.load(Ordering::SeqCst) == 0);
        }
    }
}

/// A dead database answers nothing, on no session, old or new.
#[tokio::test]
async fn a_dead_database_stays_dead() {
    let memory = Arc::new(Memory::default());
    let faults = Faults::at(memory.clone(), 1, Moment::Before);
    let mut locker = faults.locker().await.expect("alive");
    let mut watch = faults.session(Purpose::Watch).await.expect("alive");
    let mut session = faults.session(work()).await.expect("alive");
    let canceller = session.canceller();
    session.bare("first").await.expect_err("the fault");

    let select = Statement::new("select 1", Vec::new());
    let table = TableName { schema: None, name: "t".to_owned() };
    let errors = [
        watch.query(&select).await.map(drop),
        watch.transact(std::slice::from_ref(&select)).await.map(drop),
        session.bare("second").await.map(drop),
        session.table(&table).await.map(drop),
        session.reading(&[]).await.map(drop),
        canceller.cancel().await,
        locker.try_lock().await.map(drop),
        locker.still_held().await.map(drop),
        locker.unlock().await.map(drop),
        faults.session(work()).await.map(drop),
        faults.locker().await.map(drop),
        faults.end_orphans("run").await.map(drop),
    ];
    for (at, result) in errors.into_iter().enumerate() {
        assert_eq!(result.expect_err("dead").kind, ErrorKind::Connection, "call {at}");
    }
    assert!(memory.done().is_empty());
}

/// An error of the database's own is passed on, and nobody dies of it.
#[tokio::test]
async fn an_error_is_no_fault() {
    let memory = Arc::new(Memory::default());
    let faults = Faults::at(memory, 1, Moment::After);
    let mut session = faults.session(work()).await.expect("alive");
    let error = session.transact(&[Statement::script("fail")]).await.expect_err("the error");
    assert_eq!((error.kind, faults.died()), (ErrorKind::Sql, false));
    session.bare("next").await.expect("alive");
    assert_eq!(faults.writes(), 2);
}
