//! The sentinel's own promises: it ends what it was told of, and nothing else.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Connection, Database, Server};

/// Lets a sentinel act for a tool that has ended already, whose session was this one.
fn act(database: &Database, id: i64, mark: &str) {
    let mut tool = Command::new("true").spawn().unwrap();
    let pid = tool.id();
    tool.wait().unwrap();
    let mut sentinel = Command::new(env!("CARGO_BIN_EXE_lockkeeper"))
        .arg("sentinel")
        .env("DATABASE_URL", &database.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = sentinel.stdin.take().unwrap();
    writeln!(input, r#"{{"run":"9f3c"}}"#).unwrap();
    writeln!(input, r#"{{"tool":{{"pid":{pid},"started":1}}}}"#).unwrap();
    writeln!(input, r#"{{"sessions":[{{"id":{id},"mark":"{mark}"}}]}}"#).unwrap();
    drop(input);
    assert!(sentinel.wait().unwrap().success());
}

/// `id` and `mark` of a session, and whether it is there.
async fn prove(database: Database, which: &str, there: &str) {
    let mut session: Connection = database.connect().await;
    let row = session.query_rows(which).await.remove(0);
    let (id, mark) = (row[0].as_deref().unwrap(), row[1].as_deref().unwrap());
    let there = there.replace("{id}", id);
    let id = id.parse().unwrap();
    // The same number, and another session.
    act(&database, id, &format!("{mark}9"));
    assert_eq!(database.query_i64(&there).await, 1);
    act(&database, id, mark);
    database.wait_for(&format!("select 1 - ({there})")).await;
}

#[tokio::test]
async fn on_postgres_it_ends_only_the_same_session() {
    let which = "select pid::text, (extract(epoch from backend_start) * 1000000)::bigint::text \
                 from pg_stat_activity where pid = pg_backend_pid()";
    let there = "select count(*) from pg_stat_activity where pid = {id}";
    prove(Server::postgres18().database().await, which, there).await;
}

#[tokio::test]
async fn on_mariadb_it_ends_only_the_same_session() {
    let which = "select cast(id as char), host from information_schema.processlist \
                 where id = connection_id()";
    let there = "select count(*) from information_schema.processlist where id = {id}";
    prove(Server::mariadb().database().await, which, there).await;
}
