//! `up` with its choices.

use super::{all, command, every, project, states};
use crate::support::{Database, Lockkeeper};

/// `--to` stops there, a second run goes on, and a third has nothing to do.
#[tokio::test]
async fn it_goes_as_far_as_it_is_told() {
    let project = project();
    for database in every().await {
        let up = Lockkeeper::up(&project, &database);
        up.clone()
            .args(["--to", "1"])
            .run()
            .await
            .expect(0)
            .expect_text("version 1 · 1 migration in");
        let expected = all(&[(1, "applied"), (2, "pending"), (3, "pending")]);
        assert_eq!(states(&project, &database).await, expected);
        up.clone().env("LOCKKEEPER_TO", "1").run().await.expect(0).expect_text("nothing pending");
        up.run().await.expect(0).expect_text("version 3 · 2 migrations in");
        assert_eq!(database.query_i64("select count(*) from item where n = 1").await, 5);
        let before = database.contents().await;
        let nothing = up.run().await.expect(0);
        assert!(nothing.stderr.contains("nothing pending: the schema is at version 3"));
        assert_eq!(nothing.stderr.lines().count(), 1, "{}", nothing.stderr);
        assert_eq!(database.contents().await, before, "{:?}", database.kind());
        up.args(["--to", "7"]).run().await.expect(2).expect_text("no migration 7");
    }
}

/// An error is told before the lingering, which may take an hour.
#[tokio::test]
async fn it_lingers_after_the_error() {
    let project = project();
    project.file("V2__fill.sql", "insert into nowhere values (1);\n");
    for format in ["text", "json"] {
        let database = Database::sqlite();
        let up = Lockkeeper::up(&project, &database).args(["--log-format", format]);
        let running = up.args(["--listen", "127.0.0.1:0", "--linger", "1h"]).start();
        let line = running.line_with("no such table").await;
        assert!(line.contains("migration 2, step 1 of 1 failed"), "{line}");
        assert!(running.runs());
        running.signal(libc::SIGTERM);
        let output = running.wait().await.expect(1);
        assert_eq!(output.stderr.matches("no such table").count(), 1, "{}", output.stderr);
    }
}

/// A name is served at each of its addresses, and each is said.
#[tokio::test]
async fn it_listens_where_a_name_leads() {
    let (project, database) = (project(), Database::sqlite());
    let up = Lockkeeper::up(&project, &database);
    let running = up.args(["--listen", "localhost:0", "--linger", "1h"]).start();
    running.line_with("ready: the schema is at version 3").await;
    running.signal(libc::SIGTERM);
    let stderr = running.wait().await.expect(0).stderr;
    let said: Vec<_> = stderr.lines().filter_map(|line| line.split_once("listening on ")).collect();
    assert!(!said.is_empty(), "{stderr}");
    for (_, url) in said {
        assert!(url.starts_with("http://127.0.0.1:") || url.starts_with("http://[::1]:"), "{url}");
    }
}

/// Expand comes before the rollout, contract after it; a later expand migration may come first.
#[tokio::test]
async fn phases_come_one_after_the_other() {
    let project = project();
    project.file("V4__next_release.sql", "create table next_release (id bigint primary key);");
    let database = Database::sqlite();
    let up = Lockkeeper::up(&project, &database);
    up.clone()
        .args(["--phase", "expand"])
        .run()
        .await
        .expect(0)
        .expect_text("version 4 · 3 migrations");
    let expected = all(&[(1, "applied"), (2, "applied"), (3, "pending"), (4, "applied")]);
    assert_eq!(states(&project, &database).await, expected);
    let expand = command(&["status", "--exit-code", "--phase", "expand"], &project, &database);
    expand.run().await.expect(0);
    up.clone().env("LOCKKEEPER_PHASE", "contract").run().await.expect(0);
    assert!(states(&project, &database).await.iter().all(|(_, state)| state == "applied"));
    up.run().await.expect(0).expect_text("nothing pending");
}
