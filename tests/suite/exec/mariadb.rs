//! MariaDB's own client under the lock.

use std::time::Duration;

use super::scene::{blocked, busy};
use crate::suite::faces::client::Served;
use crate::support::{Connection, Database, Lockkeeper, Server, wait_until};

const SOON: Duration = Duration::from_secs(30);
const AT_WORK: &str = "select count(*) from information_schema.processlist \
    where id <> connection_id() and db = database() and info like '%sleep(0.0%'";

async fn scene() -> Database {
    let database = Server::mariadb().database().await;
    database
        .execute(
            "create table item (id bigint primary key, n bigint not null default 0); \
             insert into item (id) select seq from seq_1_to_3000;",
        )
        .await;
    database
}

fn exec(database: &Database, sql: &str) -> Lockkeeper {
    let port = database.port().to_string();
    let client = ["mariadb", "-h127.0.0.1", "-P", &port, "-uroot", database.name(), "-e", sql];
    Lockkeeper::new(["exec", "--listen", "127.0.0.1:0", "--"]).database(database).args(client)
}

async fn at_rest(outside: &mut Connection) {
    wait_until("no statement is left", SOON, async || outside.query_i64(AT_WORK).await == 0).await;
}

const UPDATE: &str = "update item set n = n + 1 + sleep(0.01) where 'hunter2' <> ''";

#[tokio::test]
async fn it_is_seen_at_work() {
    let database = scene().await;
    let mut blocker = database.connect().await;
    blocker.execute("begin; update item set n = n where id = 1").await;
    let served = Served::start_as_told(exec(&database, UPDATE)).await;
    let blocked = blocked(&served).await;
    let session = busy(&blocked).unwrap();
    assert_eq!(session["statement"], "update item set n = n + … + sleep(…) where '…' <> '…'");
    assert_eq!(session["blockers"][0]["user"], "root");
    blocker.execute("rollback").await;
    let age = |now: &serde_json::Value| busy(now).and_then(|one| one["statement_seconds"].as_f64());
    served.progress_that("its age", |now| age(now) > age(&blocked)).await;
    served.running.signal(libc::SIGTERM);
    // The client asks the server to end its statement, or dies and leaves that to us.
    let output = served.running.wait().await;
    assert_ne!(output.code(), Some(0), "{}", output.text());
    at_rest(&mut database.connect().await).await;
    assert_eq!(database.query_i64("select count(*) from item where n > 0").await, 0);
}

#[tokio::test]
async fn killed_it_leaves_nothing() {
    let database = scene().await;
    let served = Served::start_as_told(exec(&database, UPDATE)).await;
    database.wait_for(AT_WORK).await;
    served.running.kill();
    at_rest(&mut database.connect().await).await;
    assert_eq!(served.running.wait().await.killed_by(), Some(libc::SIGKILL));
}

/// MariaDB counts the stages of an ALTER, and how far each is.
#[tokio::test]
async fn an_alter_has_a_part() {
    let database = scene().await;
    let sql = "set session alter_algorithm = 'copy'; \
               alter table item add h char(64) as (sha2(repeat(id, 1000000), 256)) stored";
    let served = Served::start_as_told(exec(&database, sql)).await;
    let part = |now: &serde_json::Value| busy(now).and_then(|one| one["work"]["fraction"].as_f64());
    let first =
        served.progress_that("its part", |now| part(now).is_some_and(|one| one > 0.0)).await;
    let work = &busy(&first).unwrap()["work"];
    assert_eq!((&work["command"], &work["phase"]), (&"alter table".into(), &"stage 1 of 2".into()));
    served.running.signal(libc::SIGTERM);
    served.running.wait().await;
    let alters = "select count(*) from information_schema.processlist where id <> connection_id() \
                  and db = database() and info like 'alter%'";
    let mut outside = database.connect().await;
    wait_until("no ALTER is left", SOON, async || outside.query_i64(alters).await == 0).await;
}
