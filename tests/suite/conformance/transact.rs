//! Lists of statements.

use std::time::{Duration, Instant};

use lockkeeper::db::{ErrorKind, Purpose, Row, Statement, Stopwatch, Value};

use super::Subject;
use crate::support::{Kind, Moment, Proxy};

const TABLE: &str = "create table t (id bigint primary key, n bigint not null)";

async fn contents(subject: &Subject) -> Vec<Vec<Option<String>>> {
    subject.home.query_rows("select id, n from t order by id").await
}

fn row(id: i64, n: i64) -> Vec<Option<String>> {
    vec![Some(id.to_string()), Some(n.to_string())]
}

pub async fn a_list_commits_whole(subject: &Subject) {
    subject.home.execute(TABLE).await;
    let mut session = subject.session().await;
    let insert = "insert into t values ({1}, {2})";
    let affected = session
        .transact(&[
            subject.statement(insert, vec![1.into(), 10.into()]),
            subject.statement(insert, vec![2.into(), 20.into()]),
            Statement::new("update t set n = n + 1", vec![]).must_affect(2),
            Statement::new("delete from t where id > 7", vec![]),
        ])
        .await
        .unwrap();
    assert_eq!(affected, [1, 1, 2, 0]);
    assert_eq!(contents(subject).await, [row(1, 11), row(2, 21)]);
    assert!(session.transact(&[]).await.unwrap().is_empty());
}

pub async fn a_failure_keeps_nothing(subject: &Subject) {
    subject.home.execute(TABLE).await;
    let mut session = subject.session().await;
    for wrong in ["insert into t values (1, 2)", "insert into nowhere values (1)", "not SQL"] {
        let list = [
            Statement::new("insert into t values (1, 1)", vec![]),
            Statement::new(wrong, vec![]),
            Statement::new("insert into t values (3, 3)", vec![]),
        ];
        let error = session.transact(&list).await.unwrap_err();
        assert_eq!((error.kind, error.statement), (ErrorKind::Sql, Some(1)), "{error}");
        assert!(contents(subject).await.is_empty(), "{wrong}");
    }
    session.transact(&[Statement::new("insert into t values (1, 1)", vec![])]).await.unwrap();
    assert_eq!(contents(subject).await, [row(1, 1)]);
}

/// From its begin until the statement that enters it.
pub async fn a_list_knows_how_long_it_took(subject: &Subject) {
    subject.home.execute(TABLE).await;
    let mut session = subject.session().await;
    let slow = subject.pick(
        "select pg_sleep(0.3)",
        "do sleep(0.3)",
        "insert into t with recursive s(i) as (select 10 union all select i + 1 from s where i < 9999) \
         select i, 0 from s",
    );
    let enter = "insert into t values ({1}, {2})";
    let (first, last) = (Stopwatch::default(), Stopwatch::default());
    let list = [
        subject.statement(enter, vec![1.into()]).timed(&first),
        Statement::script(slow),
        subject.statement(enter, vec![2.into()]).timed(&last),
    ];
    let started = Instant::now();
    session.transact(&list).await.unwrap();
    let whole = i64::try_from(started.elapsed().as_millis()).unwrap() + 1;
    let before = subject.home.query_i64("select n from t where id = 1").await;
    let after = subject.home.query_i64("select n from t where id = 2").await;
    let slow = if subject.kind() == Kind::Sqlite { 0 } else { 300 };
    assert!(
        before > 0 && before + slow <= after + 1 && after <= whole,
        "{before}, {after}, {whole}"
    );
    let shown = [first, last].map(|stopwatch| stopwatch.took().as_millis() as i64);
    assert_eq!(shown, [before, after]);
}

pub async fn the_fence_refuses(subject: &Subject) {
    subject.home.execute(TABLE).await;
    subject.home.execute("insert into t values (1, 5), (2, 5)").await;
    let mut session = subject.session().await;
    let advance = "update t set n = {1} where id = 1 and n = {2}";
    // Rows that are found count, also where nothing changes in them.
    let same = subject.statement(advance, vec![5.into(), 5.into()]).must_affect(1);
    assert_eq!(session.transact(std::slice::from_ref(&same)).await.unwrap(), [1]);

    let stale = subject.statement(advance, vec![7.into(), 6.into()]).must_affect(1);
    let work = Statement::new("update t set n = 0", vec![]);
    let error = session.transact(&[same, work.clone(), stale]).await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::Fenced, Some(2)));
    assert_eq!(contents(subject).await, [row(1, 5), row(2, 5)]);

    let error = session.transact(&[work.must_affect(1)]).await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::Fenced, Some(0)));
    assert_eq!(contents(subject).await, [row(1, 5), row(2, 5)]);
}

pub async fn a_script_is_all_or_nothing(subject: &Subject) {
    subject.home.execute(TABLE).await;
    let mut session = subject.session().await;
    let claim = || Statement::new("insert into t values (9, 9)", vec![]);
    let script = "insert into t values (1, 1); insert into t values (2, 'ä;?$1' = 'x'); -- end";
    let script = subject.pick(
        script.replace("'ä;?$1' = 'x'", "length('ä;?$1')"),
        script.to_owned(),
        script.to_owned(),
    );
    session.transact(&[claim(), Statement::script(script)]).await.unwrap();
    assert_eq!(contents(subject).await.len(), 3);

    let broken = "delete from t; insert into t values (1, 1); insert into t values (1, 1)";
    let error = session.transact(&[Statement::script(broken)]).await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::Sql, Some(0)));
    assert_eq!(contents(subject).await.len(), 3);

    if subject.database.dialect().transactional_ddl {
        let ddl = "create table u (id bigint); alter table t add column extra bigint";
        let fail = Statement::new("insert into t (id, n) values (1, 1)", vec![]);
        session.transact(&[Statement::script(ddl), fail]).await.unwrap_err();
        assert_eq!(subject.home.tables().await, ["t"]);
        session.transact(&[Statement::script(ddl)]).await.unwrap();
        assert_eq!(subject.home.tables().await, ["t", "u"]);
    }

    // MySQL takes an empty text for a mistake, the others for nothing. The session goes on.
    let empty = session.transact(&[Statement::script("")]).await;
    match subject.kind() {
        Kind::MariaDb => assert_eq!(empty.unwrap_err().kind, ErrorKind::Sql),
        _ => assert_eq!(empty.unwrap(), [0]),
    }
    let more = Statement::new("insert into t (id, n) values (10, 1)", vec![]);
    session.transact(&[more.must_affect(1)]).await.unwrap();
    assert_eq!(subject.home.query_i64("select count(*) from t").await, 4);
}

pub async fn values_cross_unchanged(subject: &Subject) {
    let text = subject.database.dialect().text;
    subject.home.execute(&format!("create table v (id bigint, i bigint, s {text})")).await;
    let mut session = subject.session().await;
    let samples = [
        (Value::Null, Value::Null),
        (Value::Int(0), Value::Text(String::new())),
        (Value::Int(i64::MIN), Value::from("it's \"quoted\" \\ % _ $1 ? {1}")),
        (Value::Int(i64::MAX), Value::from("ä 😀 \n\t")),
        (Value::Int(-1), Value::Text("x".repeat(100_000))),
    ];
    for (id, (int, text)) in (0..).zip(&samples) {
        let insert = subject.statement(
            "insert into v values ({1}, {2}, {3})",
            vec![Value::Int(id), int.clone(), text.clone()],
        );
        session.transact(&[insert.must_affect(1)]).await.unwrap();
    }
    let all = Statement::new("select i, s from v order by id", vec![]);
    let expected: Vec<Row> = samples.into_iter().map(|(int, text)| Row(vec![int, text])).collect();
    assert_eq!(session.query(&all).await.unwrap(), expected);
    let all = Statement::script(all.sql);
    assert_eq!(session.query(&all).await.unwrap(), expected, "sent as it stands");

    let truth = Statement::new("select 1 = 1, 1 = 2, count(*) from v", vec![]);
    let numbers = |row: &Row| row.0.clone();
    let found = session.query(&truth).await.unwrap();
    assert_eq!(numbers(&found[0]), [Value::Int(1), Value::Int(0), Value::Int(5)]);

    for (shape, float) in [
        ("number", subject.pick("select 1.5::float8", "select 1.5e0", "select 1.5")),
        ("bytes", subject.pick("select '\\xff00'::bytea", "select x'ff00'", "select x'ff00'")),
    ] {
        let error = session.query(&Statement::new(float, vec![])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Type, "{shape}: {error}");
    }
    let none = Statement::new("select i from v where 1 = 0", vec![]);
    assert!(session.query(&none).await.unwrap().is_empty());
}

/// The caller drops the future in the middle, as `select!` does: what was begun is never committed,
/// least of all by the next list.
pub async fn an_abandoned_transaction_leaves_nothing(subject: &Subject) {
    subject.home.execute(TABLE).await;
    // Half a second, or far more where nothing sleeps; the canceller ends it then.
    let slow = match subject.kind() {
        Kind::Sqlite => subject.endless(),
        _ => Statement::new(
            subject.pick("select count(pg_sleep(0.5))", "select sleep(0.5)", ""),
            vec![],
        ),
    };
    let mut session = subject.session().await;
    let insert = |id: i64| Statement::new(format!("insert into t values ({id}, 1)"), vec![]);
    let timeout = Duration::from_millis(200);
    let list = [insert(1), Statement::script(slow.sql)];
    assert!(tokio::time::timeout(timeout, session.transact(&list)).await.is_err());
    // The session is of use again, or says that it isn't.
    let mut left = vec![];
    match session.transact(&[insert(2)]).await {
        Ok(_) => left.push(row(2, 1)),
        Err(error) => assert_eq!(error.kind, ErrorKind::Connection, "{error}"),
    }
    assert_eq!(contents(subject).await, left);
    drop(session);
    assert_eq!(contents(subject).await, left);
}

/// The server has committed, and the network ate its answer; or it never heard of it.
pub async fn a_lost_reply_to_commit_is_told(subject: &Subject) {
    if subject.kind() == Kind::Sqlite {
        return;
    }
    subject.home.execute(TABLE).await;
    let proxy = Proxy::before(subject.home.port());
    let through = super::open(&proxy.url(&subject.home)).await.unwrap();
    let insert = |id: i64| [Statement::new(format!("insert into t values ({id}, 1)"), vec![])];
    for (id, moment) in [(1, Moment::Before), (2, Moment::After)] {
        let mut session = through.session(Purpose::Watch).await.unwrap();
        proxy.cut_at("commit", moment);
        let error = session.transact(&insert(id)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::CommitUnknown, "{error}");
        assert!(error.is_lost());
        let again = session.transact(&insert(3)).await.unwrap_err();
        assert_eq!(again.kind, ErrorKind::Connection, "{again}");
    }
    assert_eq!(contents(subject).await, [row(2, 1)]);
}

pub async fn bare_statements_stand_alone(subject: &Subject) {
    subject.home.execute(TABLE).await;
    let mut session = subject.session().await;
    assert_eq!(session.bare("insert into t values (1, 1), (2, 2)").await.unwrap(), 2);
    let index = subject.pick(
        "create index concurrently i on t (n)",
        "create index i on t (n)",
        "create index i on t (n)",
    );
    session.bare(index).await.unwrap();
    session.bare(subject.pick("vacuum t", "optimize table t", "vacuum")).await.unwrap();
    let error = session.bare("insert into t values (1, 1)").await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::Sql, None));
    assert_eq!(contents(subject).await.len(), 2);
}
