use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::db::{Canceller, Dialect, Locker, Row, Statement, Table, TableName};

/// A server that takes its time to let anybody in.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    open: Notify,
}

struct Inside;

#[async_trait]
impl Database for Slow {
    fn dialect(&self) -> Dialect {
        Dialect::SQLITE
    }

    fn description(&self) -> &str {
        "slow"
    }

    fn schema(&self) -> &str {
        "main"
    }

    async fn session(&self, _: Purpose) -> Result<Box<dyn Session>, DbError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open.notified().await;
        Ok(Box::new(Inside))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        unreachable!("a line takes no lock")
    }

    async fn is_locked(&self, _: &mut dyn Session) -> Result<bool, DbError> {
        unreachable!("a line asks for no lock")
    }

    async fn end_orphans(&self, _: &str) -> Result<u64, DbError> {
        unreachable!("a line ends nobody")
    }

    async fn end_sessions(&self, _: &str) -> Result<(), DbError> {
        unreachable!("a line ends nobody")
    }
}

#[async_trait]
impl Session for Inside {
    async fn query(&mut self, _: &Statement) -> Result<Vec<Row>, DbError> {
        Ok(Vec::new())
    }

    async fn transact(&mut self, _: &[Statement]) -> Result<Vec<u64>, DbError> {
        Ok(Vec::new())
    }

    async fn bare(&mut self, _: &str) -> Result<u64, DbError> {
        Ok(0)
    }

    async fn table(&mut self, _: &TableName) -> Result<Option<Table>, DbError> {
        Ok(None)
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        unreachable!("nothing takes long here")
    }
}

#[tokio::test]
async fn a_session_that_takes_longer_than_an_answer_is_waited_for() {
    let slow = Arc::new(Slow::default());
    let database: Arc<dyn Database> = slow.clone();
    let mut line = Line::new(&database);
    for _ in 0..3 {
        let given_up = tokio::time::timeout(Duration::from_millis(20), line.session()).await;
        assert!(given_up.is_err());
        // As after any answer that didn't come.
        line.break_off().await;
    }
    slow.open.notify_one();
    let found = line.session().await.unwrap();
    assert!(found.query(&Statement::new("select 1", Vec::new())).await.is_ok());
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
}
