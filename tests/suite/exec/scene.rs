//! A table whose UPDATE and index take as long as the test says, and the tools that change it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::suite::faces::client::Served;
use crate::support::{Connection, Database, Lockkeeper, Project, Server, wait_until};

/// Every row costs five milliseconds for as long as the test holds the advisory lock of this number.
const MAKE: &str = "
create table item (id bigint primary key, n bigint not null default 0, filler text not null);
insert into item select i, 0, repeat('x', 400) from generate_series(1, 6000) i;
create function dawdle(brake int, n bigint) returns bigint immutable language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock_shared(brake) then perform pg_sleep(0.005); end if;
  return n;
end $$;
analyze item;
";

/// What the tools do. It holds a secret.
pub const UPDATE: &str = "update item set n = dawdle(1, n) + 1, filler = 'hunter2'";
/// How it is shown.
pub const SHOWN: &str = "update item set n = dawdle(…, n) + …, filler = '…'";
pub const INDEX: &str = "create index item_n on item (dawdle(2, n))";

/// How many statements of that kind run in the server.
const AT_WORK: &str = "select count(*) from pg_stat_activity where state = 'active' \
    and pid <> pg_backend_pid() and datname = current_database() and query like '%dawdle%'";

/// A database with that table.
pub struct Scene {
    pub database: Database,
    pub project: Project,
    brake: Connection,
}

impl Scene {
    pub async fn new() -> Scene {
        Scene::on(Server::postgres15()).await
    }

    pub async fn on(server: &Server) -> Scene {
        let database = server.database().await;
        database.execute(MAKE).await;
        let mut brake = database.connect().await;
        brake.execute("select pg_advisory_lock(1), pg_advisory_lock(2)").await;
        Scene { database, project: Project::new(), brake }
    }

    /// `lockkeeper exec` with this command behind it.
    pub fn exec(&self, options: &[&str], command: &[&str]) -> Lockkeeper {
        let exec = Lockkeeper::new(["exec"]).project(&self.project).database(&self.database);
        exec.args(options).arg("--").args(command)
    }

    /// The same, served over HTTP.
    pub async fn serve(&self, options: &[&str], command: &[&str]) -> Served {
        let options = [&["--listen", "127.0.0.1:0"], options].concat();
        Served::start_as_told(self.exec(&options, command)).await
    }

    /// psql with this script, which calls itself so.
    pub fn psql(&self, name: &str, sql: &str) -> Vec<String> {
        let url = format!("{}?application_name={name}", self.database.url);
        ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql].map(str::to_owned).into()
    }

    /// The rest of the UPDATE takes no time.
    pub async fn hurry_update(&mut self) {
        self.brake.execute("select pg_advisory_unlock(1)").await;
    }

    /// The rest of the index.
    pub async fn hurry_index(&mut self) {
        self.brake.execute("select pg_advisory_unlock(2)").await;
    }

    /// A session that has the last row.
    pub async fn blocker(&self) -> Connection {
        let mut blocker = self.database.connect().await;
        blocker
            .execute("set application_name = 'somebody'; begin; update item set n = n where id = 1")
            .await;
        blocker
    }

    /// Waits until a statement of the tool's is at work in the server.
    pub async fn wait_for_work(&self) {
        self.database.wait_for(AT_WORK).await;
    }

    /// Waits until none is, and returns how long that took.
    pub async fn wait_for_rest(&self, patience: Duration) -> Duration {
        let started = std::time::Instant::now();
        let mut outside = self.database.connect().await;
        wait_until("no statement is left", patience, async || {
            outside.query_i64(AT_WORK).await == 0
        })
        .await;
        started.elapsed()
    }
}

/// A tool that `tests/run` installs.
pub fn tool(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    assert!(path.exists(), "{name} isn't installed here; tests/run installs what is missing");
    path.display().to_string()
}

/// The first session that is busy.
pub fn busy(progress: &Value) -> Option<&Value> {
    let sessions = progress["foreign"]["sessions"].as_array()?;
    sessions.iter().find(|session| !session["statement"].is_null())
}

/// What is shown as soon as that knows who blocks the statement.
pub async fn blocked(served: &Served) -> Value {
    let is_blocked =
        |one: &Value| one["blockers"].as_array().is_some_and(|blockers| !blockers.is_empty());
    served.progress_that("who blocks it", |now| busy(now).is_some_and(is_blocked)).await
}

/// What a tool shows during the UPDATE: who blocks it, what it is at,
/// that the lock is held, and nobody is ready until the end.
pub async fn watch_update(scene: &mut Scene, served: &Served, mut blocker: Connection) -> Value {
    let blocked = blocked(served).await;
    let session = busy(&blocked).unwrap();
    assert_eq!(session["blockers"][0]["application"], "somebody", "{session}");
    assert_eq!(session["blockers"][0]["state"], "idle in transaction");
    assert_eq!(session["wait"], "Lock: transactionid");
    assert_eq!((&blocked["lock"]["state"], &blocked["ready"]), (&"held".into(), &false.into()));
    assert!(session["statement"].as_str().unwrap().contains(SHOWN), "{session}");

    let ready = served.get("/ready").await.expect(503).json();
    let reason = ready["reason"].as_str().unwrap();
    assert!(
        reason.contains(" is at work: update item set") && reason.contains("(somebody)"),
        "{reason}"
    );
    served.get("/alive").await.expect(200);
    served.running.line_with("blocked by").await;

    // Nobody else gets the lock meanwhile.
    let up = Lockkeeper::up(&scene.project, &scene.database).arg("--lock-wait").arg("0s");
    scene.project.file("V1__one.sql", "select 1;");
    let run = blocked["run"].as_str().unwrap();
    up.run().await.expect(3).expect_text(run);
    let other = scene.exec(&["--lock-wait", "1s"], &["true"]).run().await;
    other.expect(3).expect_text(&format!("waiting for the lock: run {run} on "));

    blocker.execute("rollback").await;
    let age = |now: &Value| busy(now).and_then(|one| one["statement_seconds"].as_f64());
    let going = served
        .progress_that("its age", |now| {
            busy(now).is_some_and(|one| one["blockers"] == serde_json::json!([]))
                && age(now) > age(&blocked)
        })
        .await;
    assert!(busy(&going).unwrap()["work"].is_null());
    scene.hurry_update().await;
    blocked
}

/// The index follows: how far it is, as the server counts it.
pub async fn watch_index(scene: &mut Scene, served: &Served) -> Value {
    let part = |now: &Value| busy(now).and_then(|one| one["work"]["fraction"].as_f64());
    let first = served
        .progress_that("the index's part", |now| part(now).is_some_and(|part| part > 0.0))
        .await;
    let work = &busy(&first).unwrap()["work"];
    assert_eq!(work["command"], "CREATE INDEX");
    assert!(work["phase"].as_str().unwrap().starts_with("building index"), "{work}");
    served.progress_that("more of it", |now| part(now) > part(&first)).await;
    scene.hurry_index().await;
    first
}
