//! What goes wrong is sorted by what one can do about it.

use lockkeeper::db::{ErrorKind, Statement};

use super::{Subject, open};
use crate::support::Kind;

pub async fn mistakes_are_sql_errors_with_their_place(subject: &Subject) {
    subject.home.execute("create table t (id bigint)").await;
    let mut session = subject.session().await;
    for (sql, wrong) in [
        ("select 'ä' as a,\n id frm t x", "t x"),
        ("select 'ä',\n wrongly from t", "wrongly"),
        ("select 'ä' from nowhere", "nowhere"),
    ] {
        let error = session.query(&Statement::new(sql, vec![])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Sql, "{error}");
        assert!(error.code.is_some(), "{error}");
        let place = sql.find(wrong).map(|at| sql[..at].chars().count());
        assert_eq!(error.position, place, "{sql}: {error}");
    }
}

pub async fn a_lock_that_is_waited_for_in_vain(subject: &Subject) {
    subject.home.execute("create table t (id bigint primary key, n bigint)").await;
    subject.home.execute("insert into t values (1, 1)").await;
    let mut session = subject.session().await;
    let short = subject.pick(
        "set lock_timeout = '200ms'",
        "set innodb_lock_wait_timeout = 1",
        "pragma busy_timeout = 200",
    );
    session.bare(short).await.unwrap();
    let mut outside = subject.home.connect().await;
    outside.execute(subject.pick("begin", "begin", "begin immediate")).await;
    outside.execute("update t set n = 2").await;
    let update = [Statement::new("update t set n = 3", vec![])];
    let error = session.transact(&update).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LockTimeout, "{error}");
    assert!(error.is_transient());
    outside.execute("rollback").await;
    session.transact(&update).await.unwrap();
}

pub async fn who_may_not_connect(subject: &Subject) {
    let kind_of = async |url: &str| match open(url).await {
        Ok(_) => panic!("{url} connects"),
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains("sésame"), "{error}");
            error.kind
        }
    };
    if subject.kind() == Kind::Sqlite {
        let missing = subject.home.url.replace("test.db", "no/such/folder/test.db");
        assert_eq!(kind_of(&missing).await, ErrorKind::NoDatabase);
        return;
    }
    let user = subject.home.owner("sésame, o@uvre/toi?").await;
    open(&subject.home.url_as(&user, "sésame, o@uvre/toi?")).await.unwrap();
    let wrong = subject.home.url_as(&user, "sésame");
    assert_eq!(kind_of(&wrong).await, ErrorKind::Authentication);
    let missing = subject.home.url.replace(subject.home.name(), "no_such_database");
    assert_eq!(kind_of(&missing).await, ErrorKind::NoDatabase);
    let nobody = subject.home.url_through(1);
    assert_eq!(kind_of(&nobody).await, ErrorKind::Connection);
}

pub async fn a_missing_right_is_named(subject: &Subject) {
    if subject.kind() == Kind::Sqlite {
        return;
    }
    subject.home.execute("create table secret (id bigint)").await;
    let user = subject.home.stranger("pw").await;
    let stranger = open(&subject.home.url_as(&user, "pw")).await.unwrap();
    let mut session = stranger.session(lockkeeper::db::Purpose::Watch).await.unwrap();
    let select = Statement::new("select id from secret", vec![]);
    let error = session.query(&select).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission, "{error}");
    let hint = error.hint.unwrap_or_default().to_lowercase();
    assert!(hint.contains("grant select") && hint.contains(&user), "{hint}");
}
