//! The sentinel's own promises: it ends what it was told of, and nothing else.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Connection, Database, Server};

/// Lets a sentinel act for a tool that has ended already, whose session was this one.
fn act(database: &Database, key: &Value) {
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
    writeln!(input, "{}", json!({ "sessions": [key] })).unwrap();
    drop(input);
    assert!(sentinel.wait().unwrap().success());
}

/// The key of a session, and whether it is there; what differs in one of `others` is another session.
async fn prove(database: Database, which: &str, there: &str, others: &[(&str, Value)]) {
    let mut session: Connection = database.connect().await;
    let row = session.query_rows(which).await.remove(0);
    let key: Value = serde_json::from_str(row[0].as_deref().unwrap()).unwrap();
    let there = there.replace("{id}", &key["id"].to_string());
    for (field, other) in others {
        let mut another = key.clone();
        another[*field] = other.clone();
        act(&database, &another);
        assert_eq!(database.query_i64(&there).await, 1, "{another}");
    }
    act(&database, &key);
    database.wait_for(&format!("select 1 - ({there})")).await;
}

#[tokio::test]
async fn on_postgres_it_ends_only_the_same_session() {
    let which = "select json_build_object('id', pid, 'application', application_name, \
                 'mark', (extract(epoch from backend_start) * 1000000)::bigint::text, \
                 'client', host(client_addr), 'port', client_port)::text \
                 from pg_stat_activity where pid = pg_backend_pid()";
    let there = "select count(*) from pg_stat_activity where pid = {id}";
    // Behind a pooler it is the same to the server, and another client's.
    let others = [
        ("mark", json!("9")),
        ("application", json!("another")),
        ("client", json!("192.0.2.1")),
        ("port", json!(1)),
    ];
    prove(Server::postgres18().database().await, which, there, &others).await;
}

#[tokio::test]
async fn on_mariadb_it_ends_only_the_same_session() {
    let which = "select concat('{\"id\":', id, ',\"mark\":\"', host, '\"}') \
                 from information_schema.processlist where id = connection_id()";
    let there = "select count(*) from information_schema.processlist where id = {id}";
    let others = [("mark", json!("192.0.2.1:1"))];
    prove(Server::mariadb().database().await, which, there, &others).await;
}
