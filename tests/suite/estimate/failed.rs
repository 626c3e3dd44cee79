//! An estimate that fails: what it says, and what it leaves.

use std::path::Path;

use super::estimate;
use crate::support::{Database, Kind, Lockkeeper, Output, Project, Server};

/// A step that is done, and one that fails.
const HALF: [(&str, &str); 2] = [
    ("V1__make.sql", "CREATE TABLE made (id int PRIMARY KEY);\n"),
    ("V2__mistake.sql", "INSERT INTO made VALUES (1);\nSELECT nothing FROM nowhere;\n"),
];

const SLEEP: &str = "CREATE TABLE made (id int PRIMARY KEY);\n";

/// Nothing that is meant for a run.
fn expect_no_run(output: &Output) {
    for word in ["lockkeeper up", "run the same command again", "kept:", "lockkeeper resolve"] {
        assert!(!output.text().contains(word), "{word}\n{}", output.text());
    }
}

#[tokio::test]
async fn what_it_leaves_of_the_copy_is_told() {
    for copy in Database::every().await {
        let project = Project::with(HALF);
        let output = estimate(&project, &copy.url).arg("--copy-in-use").run().await.expect(1);
        let output = output
            .expect_text("on the copy: migration 2")
            .expect_text("migrations/V2__mistake.sql:2")
            .expect_text("mend the file, and estimate again")
            .expect_text("a part of the release is on it now: restore it");
        expect_no_run(&output);
    }
    let source = Database::sqlite();
    let command = Lockkeeper::new(["estimate", "--make-copy"]).url(&source.url);
    let output = command.project(&Project::with(HALF)).run().await.expect(1);
    expect_no_run(&output.expect_text("it is gone; the next estimate makes another one"));
}

/// Of the first statement nothing is left, and of a sample neither.
#[tokio::test]
async fn a_copy_that_is_as_it_was_needs_no_restoring() {
    let copy = Database::of(Kind::Postgres15).await;
    let wrong = Project::with([("V1__mistake.sql", "SELECT nothing FROM nowhere;\n")]);
    for (project, more) in
        [(&wrong, ["--mode", "rehearse"]), (&Project::with(HALF), ["--mode", "sample"])]
    {
        let output = estimate(project, &copy.url).args(more).run().await.expect(1);
        assert!(!output.text().contains("restore it"), "{}", output.text());
        expect_no_run(&output);
    }
}

#[tokio::test]
async fn the_report_before_it_stays() {
    let copy = Database::sqlite();
    let (wrong, right) = (Project::with(HALF), Project::with([HALF[0]]));
    let file = right.path().join("report.json");
    std::fs::write(&file, "{\"old\": true}").unwrap();
    let of = |project: &Project| estimate(project, &copy.url).arg("--json").arg(&file);
    of(&wrong).run().await.expect(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"old\": true}");
    let new = right.path().join("new.json");
    estimate(&wrong, &copy.url).arg("--json").arg(&new).run().await.expect(1);
    assert!(!Path::new(&new).exists());
    of(&right).run().await.expect(0);
    assert!(std::fs::read_to_string(&file).unwrap().contains("p50_seconds"));
    let nowhere = estimate(&right, &copy.url).arg("--json").arg("nowhere/report.json");
    nowhere.run().await.expect(2).expect_text("can't write nowhere/report.json");
}

/// The signal comes between the copy and its use; and while the server still copies.
#[tokio::test]
async fn a_signal_at_any_time_ends_it_and_its_copy() {
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    let project = Project::with([("V1__make.sql", SLEEP)]);
    let command = || Lockkeeper::new(["estimate", "--make-copy"]).project(&project);
    let left = "select count(*) from pg_database where datname like 'lockkeeper\\_copy%'";
    let held = server.admin();
    let mut holder = held.connect().await;
    // Whoever copies it waits for that.
    holder.execute(&format!("begin; comment on database {} is 'held'", database.name())).await;
    let running = command().url(&database.url).start();
    held.wait_for("select count(*) from pg_stat_activity where query like 'create database%' and wait_event_type = 'Lock'").await;
    running.signal(libc::SIGINT);
    let output = running.wait().await.expect(4).expect_text("stopped by SIGINT");
    expect_no_run(&output);
    holder.execute("rollback").await;
    assert_eq!(held.query_i64(left).await, 0);
    let running = command().url(&database.url).start();
    running.line_with("is made, and goes when this ends").await;
    running.signal(libc::SIGINT);
    running.wait().await.expect(4).expect_text("stopped by SIGINT");
    assert_eq!(held.query_i64(left).await, 0);
}

/// It may read production's catalog and our tables there, and no table of the application.
#[tokio::test]
async fn who_may_read_little_of_production_is_told_what_is_missing() {
    let server = Server::own(Kind::Postgres15);
    let (copy, production) = (Database::of(Kind::Postgres18).await, server.database().await);
    for database in [&copy, &production] {
        database.execute(&super::rows(20_000)).await;
        database.execute("analyze").await;
    }
    let reader = production.stranger("secret").await;
    let project = Project::with([("V1__release.sql", super::RELEASE)]);
    let command = estimate(&project, &copy.url).url(&production.url_as(&reader, "secret"));
    let output = command.args(["--mode", "sample"]).run().await.expect(0);
    output
        .expect_text("no table of both could be read by this user")
        .expect_text("who is at work there isn't shown to this user");
    let log = server.log();
    assert!(!log.contains("ERROR"), "{log}");
}
