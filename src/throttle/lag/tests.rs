use std::sync::Arc;

use super::*;
use crate::db::{Canceller, ErrorKind, Row, Table, TableName, Value};

/// A primary with a replica.
struct Primary {
    /// Whether it takes a message into its log.
    takes_knocks: bool,
    said: Vec<String>,
    /// Its timeline, and where its log is.
    branch: &'static str,
    position: i64,
    /// What its replicas have replayed.
    replayed: Vec<(&'static str, i64)>,
    /// What Aurora says of a replica there.
    aurora: Vec<Option<i64>>,
}

impl Primary {
    fn new() -> Self {
        let replayed = vec![("replica-1", 100)];
        let (said, aurora) = (Vec::new(), Vec::new());
        Primary { takes_knocks: true, said, branch: "00000001", position: 100, replayed, aurora }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[async_trait]
impl Session for Primary {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let replica = |(name, replayed): &(&str, i64)| {
            let (name, replayed) = (text(name), Value::Int(*replayed));
            let received = Value::Int(self.position);
            Row(vec![name.clone(), name, text("streaming"), replayed, Value::Null, received])
        };
        Ok(match statement.sql.as_str() {
            REPLICAS => self.replayed.iter().map(replica).collect(),
            AURORA => self.aurora.iter().map(|lag| Row(vec![text("r"), (*lag).into()])).collect(),
            _ => vec![Row(vec![Value::Int(self.position), text(self.branch)])],
        })
    }

    async fn transact(&mut self, _: &[Statement]) -> Result<Vec<u64>, DbError> {
        unreachable!("a signal writes nothing")
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.said.push(sql.to_owned());
        match sql {
            KNOCK if !self.takes_knocks => Err(DbError::new(ErrorKind::Permission, "no")),
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

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_server_that_takes_no_knock_is_read_without() {
    let mut server = Primary { takes_knocks: false, ..Primary::new() };
    let mut signal = ReplicaLag::new(LIMIT, Unseen::Told);
    for _ in 0..3 {
        let reading = signal.standbys(&mut server).await.unwrap().unwrap();
        assert_eq!(reading.subject.as_deref(), Some("replica-1"));
    }
    assert_eq!(server.said, [KNOCK, "rollback"]);

    let mut signal = ReplicaLag::new(LIMIT, Unseen::Holds);
    signal.standbys(&mut server).await.unwrap();
    assert!(signal.standbys(&mut server).await.is_err(), "who asks for a limit wants it kept");
}

/// The replica is the primary now, with a log that is shorter, or longer, or another one of the same
/// length: it isn't a replica that has gone, nor is another one behind what there was before.
#[tokio::test]
async fn after_a_failover_nothing_is_behind_what_is_gone() {
    for (branch, position) in [("00000002", 900), ("00000002", 9_000), ("00000001", 900)] {
        let mut server = Primary { position: 1_000, ..Primary::new() };
        server.replayed = vec![("replica-1", 400), ("replica-2", 400)];
        let mut signal = ReplicaLag::new(LIMIT, Unseen::Told);
        signal.standbys(&mut server).await.unwrap();
        assert!(signal.standbys(&mut server).await.unwrap().unwrap().value > 0.0);
        (server.branch, server.position) = (branch, position);
        server.replayed = vec![("replica-2", position)];
        let reading = signal.standbys(&mut server).await.unwrap().unwrap();
        assert_eq!((reading.subject.as_deref(), reading.value), (Some("replica-2"), 0.0));
        server.replayed.clear();
        (server.branch, server.position) = ("00000003", position);
        assert_eq!(signal.standbys(&mut server).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_lag_that_aurora_does_not_know_is_not_none() {
    let mut server = Primary { aurora: vec![None, Some(1_500)], ..Primary::new() };
    let reading = ReplicaLag::new(LIMIT, Unseen::Told).aurora(&mut server).await.unwrap().unwrap();
    assert_eq!(reading.value, 1.5);
    let asked = ReplicaLag::new(LIMIT, Unseen::Holds).aurora(&mut server).await;
    assert_eq!(asked.unwrap_err().to_string(), "r says nothing of its lag");
}
