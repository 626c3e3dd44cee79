use std::sync::Arc;

use super::*;
use crate::db::{Canceller, ErrorKind, Row, Table, TableName, Value};

/// A primary with a replica, which takes no message into its log.
#[derive(Default)]
struct Mute {
    said: Vec<String>,
}

#[async_trait]
impl Session for Mute {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let text = |text: &str| Value::Text(text.to_owned());
        Ok(vec![Row(match statement.sql.as_str() {
            REPLICAS => vec![
                text("7"),
                text("replica-1"),
                text("streaming"),
                Value::Int(100),
                Value::Null,
                Value::Int(100),
            ],
            _ => vec![Value::Int(100)],
        })])
    }

    async fn transact(&mut self, _: &[Statement]) -> Result<Vec<u64>, DbError> {
        unreachable!("a signal writes nothing")
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.said.push(sql.to_owned());
        match sql {
            KNOCK => Err(DbError::new(ErrorKind::Permission, "no")),
            _ => Ok(0),
        }
    }

    async fn table(&mut self, _: &TableName) -> Result<Option<Table>, DbError> {
        unreachable!("a signal asks for no table")
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        unreachable!("nothing takes long here")
    }
}

#[tokio::test]
async fn a_server_that_takes_no_knock_is_read_without() {
    let mut server = Mute::default();
    let mut signal = ReplicaLag::new(Duration::from_secs(5), false);
    for _ in 0..3 {
        let reading = signal.standbys(&mut server).await.unwrap().unwrap();
        assert_eq!(reading.subject.as_deref(), Some("replica-1"));
    }
    assert_eq!(server.said, [KNOCK, "rollback"]);

    let mut signal = ReplicaLag::new(Duration::from_secs(5), true);
    signal.standbys(&mut server).await.unwrap();
    assert!(signal.standbys(&mut server).await.is_err(), "who asks for a limit wants it kept");
}
