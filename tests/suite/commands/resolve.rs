//! `resolve`: the human verdict.

use super::{all, command, every, project, states};
use crate::suite::held::Held;
use crate::support::Lockkeeper;

const CLAIM: &str = "insert into lockkeeper_step \
                     (version, step, kind, checksum, state, run, began_at) values \
                     (3, 1, 'bare', 'x', 'running', 'dead', '2026-11-20T09:14:02Z')";
const FOUND: &str = "select count(*) from after_the_rollout";

/// On every database: `up` stops before a step whose outcome is unknown, and goes on after either
/// verdict as it says.
#[tokio::test]
async fn a_verdict_lets_the_next_run_go_on() {
    let project = project();
    for database in every().await {
        let kind = database.kind();
        let up = Lockkeeper::up(&project, &database);
        let resolve = |more: &[&str]| command(&["resolve"], &project, &database).args(more);
        up.clone().args(["--to", "2"]).run().await.expect(0);
        database.execute(CLAIM).await;
        let before = database.contents().await;
        let dirty = up.run().await.expect(5);
        for part in ["its outcome is not known", "resolve 3 --applied", "resolve 3 --retry"] {
            assert!(dirty.stderr.contains(part), "{part:?} in {}", dirty.stderr);
        }
        assert_eq!(database.contents().await, before, "{kind:?}");

        resolve(&["3", "--retry"]).run().await.expect(0).expect_text("step 1 of migration 3 will");
        let expected = all(&[(1, "applied"), (2, "applied"), (3, "pending")]);
        assert_eq!(states(&project, &database).await, expected, "{kind:?}");

        database.execute(CLAIM).await;
        resolve(&["3", "--applied"]).run().await.expect(0).expect_text("counts as done");
        up.run().await.expect(0).expect_text("nothing pending");
        assert!(database.try_execute(FOUND).await.is_err(), "the human's word was taken");
    }
}

/// Where there is nothing to resolve, nothing is done.
#[tokio::test]
async fn it_refuses_what_is_no_question() {
    let project = project();
    for database in every().await {
        Lockkeeper::up(&project, &database).args(["--to", "2"]).run().await.expect(0);
        let before = database.contents().await;
        let resolve = |more: &[&str]| command(&["resolve"], &project, &database).args(more);
        let nothing = resolve(&["3", "--retry"]).run().await.expect(2);
        assert!(nothing.stderr.contains("no step whose outcome is unknown"), "{}", nothing.stderr);
        resolve(&["2", "--applied"]).run().await.expect(2);
        resolve(&["9", "--retry"]).run().await.expect(2).expect_text("no migration 9");
        resolve(&["3"]).run().await.expect(2);
        resolve(&["3", "--retry", "--applied"]).run().await.expect(2);
        assert_eq!(database.contents().await, before, "{:?}", database.kind());
    }
}

/// A half-done backfill whose statement was changed starts from the first row, when a human wants
/// it so; and not while a run is at work.
#[tokio::test]
async fn a_changed_backfill_starts_anew() {
    let mut held = Held::new().await;
    let running = held.up().start();
    held.database.wait_for("select count(*) from item where n = 1").await;
    let resolve = command(&["resolve", "2", "--retry"], &held.project, &held.database);
    let held_up = resolve.run().await.expect(3).expect_text("holds the lock (");
    assert!(!held_up.stderr.contains("wait"), "it doesn't wait: {}", held_up.stderr);
    held_up.expect_text("next: let that run end");
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);

    held.project.file("V2__fill.sql", "-- lockkeeper: batch\nupdate item set n = n + 10;\n");
    held.up().run().await.expect(5).expect_text("half done, and was changed since");
    resolve.run().await.expect(0);
    held.hurry().await;
    held.open().await;
    held.up().run().await.expect(0);
    assert_eq!(
        held.database.query_i64("select count(*) from item where n in (10, 11)").await,
        4_000
    );
    assert!(held.database.query_i64("select count(*) from item where n = 11").await > 0);
}
