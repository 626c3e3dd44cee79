//! Ending what runs, from outside.

use std::time::{Duration, Instant};

use lockkeeper::db::{Canceller, ErrorKind, Statement};

use super::Subject;
use crate::support::Kind;

/// Cancels until the work ends: where nobody can see from outside whether it has begun, the first
/// try may come too early.
async fn cancelled<T>(
    subject: &Subject,
    canceller: &dyn Canceller,
    work: impl Future<Output = T>,
) -> T {
    let cancel = async {
        subject.until_it_runs().await;
        loop {
            canceller.cancel().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = cancel => unreachable!("it goes on until the work is done"),
    }
}

pub async fn a_query_is_cancelled(subject: &Subject) {
    let mut session = subject.session().await;
    let canceller = session.canceller();
    let endless = subject.endless();
    let started = Instant::now();
    let answer = cancelled(subject, canceller.as_ref(), session.query(&endless)).await;
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    session.query(&Statement::new("select 1", vec![])).await.unwrap();
}

pub async fn a_transaction_is_cancelled_whole(subject: &Subject) {
    subject.home.execute("create table t (id bigint)").await;
    let mut session = subject.session().await;
    let canceller = session.canceller();
    let list = [
        Statement::new("insert into t values (1)", vec![]),
        Statement::script(format!("insert into t select ({})", subject.endless().sql)),
    ];
    let answer = cancelled(subject, canceller.as_ref(), session.transact(&list)).await;
    let error = answer.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    if subject.kind() != Kind::Sqlite {
        assert_eq!(error.statement, Some(1), "{error}");
    }
    assert_eq!(subject.home.query_i64("select count(*) from t").await, 0);
    session.transact(&list[..1]).await.unwrap();
    assert_eq!(subject.home.query_i64("select count(*) from t").await, 1);
}

pub async fn cancelling_nothing_harms_nothing(subject: &Subject) {
    let mut session = subject.session().await;
    let canceller = session.canceller();
    for _ in 0..3 {
        canceller.cancel().await.unwrap();
        session.query(&Statement::new("select 1", vec![])).await.unwrap();
    }
    drop(session);
    canceller.cancel().await.unwrap();
}

pub async fn a_lost_connection_is_told(subject: &Subject) {
    if subject.kind() == Kind::Sqlite {
        return;
    }
    let mut session = subject.session().await;
    let end = async {
        subject.until_it_runs().await;
        subject.end_connections().await;
    };
    let endless = subject.endless();
    let (answer, ()) = tokio::join!(session.query(&endless), end);
    let error = answer.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection, "{error:?}");
    let one = Statement::new("select 1", vec![]);
    assert_eq!(session.query(&one).await.unwrap_err().kind, ErrorKind::Connection);
    subject.session().await.query(&one).await.unwrap();
}
